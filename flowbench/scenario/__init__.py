"""Generated scenarios with known answers, for training, tests and measurement.

The same seed gives the same bytes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from flowbench.errors import InputError
from flowbench.scenario import winterday, winterday_facts
from flowbench.scenario.record_format import FIELD_COUNTS, INTERVALS


class Writer(Protocol):
    """A function that writes a scenario; the arguments are those of ``write``."""

    def __call__(self, out: Path, seed: int, *, version: int, window: int) -> None:
        """Write the evidence and the answers."""


NAMES: dict[str, Writer] = {"winterday": winterday.write}


def write(
    name: str,
    out: Path,
    seed: int = winterday_facts.SEED,
    *,
    version: int = 5,
    window: int = 60,
) -> None:
    """Write a scenario's evidence and answers.json.

    Args:
        name: One of ``NAMES``.
        out: A new or empty folder.
        seed: Of all random choices.
        version: Version of the flow log records: 2 (AWS's default fields) to 5.
        window: Aggregation interval of the flow logs in seconds: 60 or 600 (AWS's default).

    Raises:
        InputError: There is no such scenario, version or window, or the folder is not empty.
    """
    if name not in NAMES:
        raise InputError(f"unknown scenario {name!r}; known: {', '.join(NAMES)}")
    for given, known, what in ((version, FIELD_COUNTS, "version"), (window, INTERVALS, "window")):
        if given not in known:
            choices = ", ".join(map(str, known))
            raise InputError(f"no flow logs with {what} {given}; choose one of {choices}")
    if out.exists() and any(out.iterdir()):
        raise InputError(f"{out} is not empty: choose another folder")
    NAMES[name](out, seed, version=version, window=window)
