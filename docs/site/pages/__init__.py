"""Pages that are made from the code: detectors, tables, commands, Python API, notebooks.

They are written to docs/reference before each build of the site, so that a page never differs from
the docstring, declaration or help text that it shows.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pages import api, commands, detectors, notebooks, tables

FOLDER = "docs/reference"


def write_all(root: Path) -> None:
    """Write the pages below a checkout; leave equal ones untouched and remove those of before."""
    pages = dict(_make(root))
    folder = root / FOLDER
    for path in [path for path in folder.rglob("*") if path.is_file()]:
        if path.relative_to(folder).as_posix() not in pages:
            path.unlink()
    for name, text in pages.items():
        path = folder / name
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")


def _make(root: Path) -> Iterator[tuple[str, str]]:
    """Yield each page's name below FOLDER and its text."""
    yield from detectors.make_pages(root)
    yield from tables.make_pages()
    yield from commands.make_pages(root)
    yield from api.make_pages()
    yield from notebooks.make_pages(root)
