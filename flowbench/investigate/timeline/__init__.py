"""The timeline of a case: findings, sessions, API events, alerts, DNS and notes in one order."""

from flowbench.investigate.indicators import INDICATORS, collect_indicators
from flowbench.investigate.timeline.build import build
from flowbench.investigate.timeline.event import TABLE
from flowbench.investigate.timeline.local_time import add_local_time

__all__ = ["INDICATORS", "TABLE", "add_local_time", "build", "collect_indicators"]
