"""Invented incidents with known answers, for training and tests. The same seed, the same bytes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from flowbench.errors import InputError
from flowbench.scenario import winterday, winterday_facts

NAMES: dict[str, Callable[[Path, int], None]] = {"winterday": winterday.write}


def write(name: str, out: Path, seed: int = winterday_facts.SEED) -> None:
    """Write a scenario's evidence and answers.json into ``out``, which must be empty or new.

    Raises InputError for an unknown name or a folder with something in it.
    """
    if name not in NAMES:
        raise InputError(f"no scenario is called {name!r}; there are: {', '.join(NAMES)}")
    if out.exists() and any(out.iterdir()):
        raise InputError(f"{out} is not empty: choose another folder")
    NAMES[name](out, seed)
