"""Rows of connections for figures."""

from __future__ import annotations

from typing import Any

import pandas as pd

from flowbench.connections import TABLE

AT = pd.Timestamp("2026-09-01 00:00Z")  # a Tuesday
HOST, PEER = "10.0.0.5", "203.0.113.9"


def row(minutes: float = 0, **changes: Any) -> dict[str, Any]:
    """A connection of ten seconds that begins some minutes after AT."""
    begun = AT + pd.Timedelta(minutes=minutes)
    usual = {
        "initiator": HOST, "initiator_port": 40_000, "responder": PEER, "service_port": 443,
        "protocol": 6, "first_seen": begun, "last_seen": begun + pd.Timedelta(seconds=10),
        "bytes_out": 1_000, "bytes_in": 20, "rejected": False, "answered": True,
        "direction": "outbound", "intermediate": False,
    }  # fmt: skip
    return usual | changes


def frame(*rows: dict[str, Any]) -> pd.DataFrame:
    """Rows of connections.TABLE."""
    return TABLE.frame(rows)
