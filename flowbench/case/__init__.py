"""The case: a folder with tables read from evidence, and the log of what was done to them."""

from flowbench.case.case import Case

__all__ = ["Case"]
