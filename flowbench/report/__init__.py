"""The incident report."""

from flowbench.report.html import write

__all__ = ["write"]
