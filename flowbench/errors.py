"""The errors of flowbench, by what the user can do about them."""

from __future__ import annotations

from flowbench.text import cut_message


class FlowbenchError(Exception):
    """Base of all errors for the user; the message names what is wrong and the remedy."""

    def __str__(self) -> str:
        """Return the message; names of any length that it repeats are cut."""
        return cut_message(super().__str__())


class InputError(FlowbenchError):
    """An argument cannot be used: a path, an option, a table, an id. Give another."""


class CaseError(FlowbenchError):
    """The case cannot be created, opened or written as asked."""


class MissingFieldError(FlowbenchError):
    """The analysis needs a field or table that the case's evidence does not have."""


class BadRecord(Exception):
    """A record cannot be read; the loader puts it into quarantine with this reason."""


class StoppedError(FlowbenchError):
    """The user stopped a command; the message says what is kept."""
