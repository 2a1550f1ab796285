"""The incident report."""

from flowbench.report.html import write
from flowbench.report.pdf import print_pdf

__all__ = ["print_pdf", "write"]
