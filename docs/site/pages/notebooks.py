"""The list of the notebooks, by folder: each is a page of its own, shown without results."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from pages import markdown

_FIRST = "start-here"
# What a reader finds in a folder of notebooks; a new folder comes after these, by its name.
_FOLDERS = {
    "": ("First steps", "For those who have not used flowbench before."),
    "playbooks": (
        "Playbooks",
        "A playbook answers one question for any case: what the logs can and cannot show, the"
        " look, what else could explain it, what to do next. `flowbench run NAME --case CASE`"
        " writes one to HTML.",
    ),
    "cases": ("Cases", "One incident from the first alert to the report."),
    "training": ("Training", "Lessons with exercises that are checked at once."),
}


class Notebook(NamedTuple):
    """What other pages say of a notebook: its title, and the detectors whose findings it shows."""

    title: str
    detectors: set[str]


@cache
def read(path: Path) -> Notebook:
    """Read a notebook's title and detectors from its source."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    text = "\n".join("".join(cell["source"]) for cell in cells)
    title = re.search(r"^# (.*)", text, re.MULTILINE)
    named = "".join(re.findall(r"(?:only=\[|all_findings\.of\()([^\])]*)", text))
    return Notebook(title.group(1) if title else path.stem, set(re.findall(r'"([^"]+)"', named)))


def make_pages(root: Path) -> Iterator[tuple[str, str]]:
    """Yield the page that lists the notebooks."""
    by_folder: dict[str, list[str]] = {}
    paths = (root / "notebooks").rglob("*.ipynb")
    for path in sorted(paths, key=lambda path: (path.stem != _FIRST, path)):
        name = path.relative_to(root / "notebooks").with_suffix("")
        if ".ipynb_checkpoints" not in name.parts:
            folder = "" if name.parent == Path() else name.parent.as_posix()
            by_folder.setdefault(folder, []).append(f"/notebooks/{name.as_posix()}")
    text = (
        "(notebooks)=\n# Notebooks\n\nThese pages show the source of the notebooks, without"
        " results: `make gallery` runs them and writes them with tables and figures,"
        " `flowbench lab` opens them in JupyterLab.\n"
    )
    for folder in [*_FOLDERS, *sorted(by_folder.keys() - _FOLDERS.keys())]:
        if names := by_folder.get(folder):
            title, about = _FOLDERS.get(folder, (folder.capitalize(), ""))
            text += f"\n## {title}\n\n{about}\n\n" + markdown.toctree(names, "maxdepth: 1")
    yield "notebooks.md", text
