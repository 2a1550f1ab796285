"""The playbooks that come with flowbench, and where they are."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import NamedTuple

import nbformat

from flowbench.errors import InputError
from flowbench.text import list_some

_PACKAGE = Path(__file__).resolve().parents[1]


class Playbook(NamedTuple):
    """A playbook: its name, its title and the file."""

    name: str
    title: str
    path: Path


def find_notebooks() -> Path:
    """Return the folder of the notebooks: in the installed package, or in the checkout.

    Raises InputError when this installation has none.
    """
    for folder in (_PACKAGE / "notebooks", _PACKAGE.parent / "notebooks"):
        if folder.is_dir():
            return folder
    raise InputError("this installation has no notebooks: install flowbench's wheel again")


def list_playbooks() -> list[Playbook]:
    """Return the playbooks that come with flowbench, ordered by name."""
    paths = sorted((find_notebooks() / "playbooks").glob("*.ipynb"))
    return [Playbook(path.stem, _title(path), path) for path in paths]


def find_playbook(name: str) -> Path:
    """Return the file of a playbook.

    Args:
        name: The name of a playbook that comes with flowbench, ``start-here`` or ``hunt``, or the
            path of a notebook.

    Raises:
        InputError: There is neither.
    """
    if name.endswith(".ipynb"):
        if not Path(name).is_file():
            raise InputError(f"{name}: no such file")
        return Path(name)
    playbooks = {playbook.name: playbook.path for playbook in list_playbooks()}
    playbooks |= {path.stem: path for path in sorted(find_notebooks().glob("*.ipynb"))}
    if name not in playbooks:
        nearest = difflib.get_close_matches(name, playbooks, 1)
        hint = f"the nearest is {nearest[0]}; " if nearest else ""
        raise InputError(f"{name}: no such playbook; {hint}there are {list_some(playbooks, 20)}")
    return playbooks[name]


def _title(path: Path) -> str:
    """The heading of a notebook's first cell."""
    first = nbformat.read(path, as_version=4).cells[0].source
    return str(first).partition("\n")[0].lstrip("# ")
