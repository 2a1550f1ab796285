"""The ways flowbench says no, told apart by what the user can do about it."""

from __future__ import annotations


class FlowbenchError(Exception):
    """Anything flowbench refuses; the message names the thing and the remedy."""


class InputError(FlowbenchError):
    """What was given cannot be used: a path, an option, a table. Give another."""


class CaseError(FlowbenchError):
    """The case cannot be created, opened or written as asked."""


class MissingFieldError(FlowbenchError):
    """The question needs a field or a table that this case's evidence does not have."""


class BadRecord(Exception):
    """One record that cannot be read; the loader puts it in quarantine with this reason."""


class StoppedError(FlowbenchError):
    """The user stopped it; the message says what is kept."""
