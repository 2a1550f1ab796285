"""Render all notebooks with their figures into build/gallery, with an index page.

    python docs/make_gallery.py [FOLDER]

Every notebook runs on the Winterday case, or on what it loads itself; the playbooks also on a case
without evidence, on logs of version 2 with windows of 600 s, and on flow logs without companions.
The program fails if a notebook does; one that ends early is listed with its reason.
"""

from __future__ import annotations

import html
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import nbformat

import flowbench as fb
from flowbench.errors import InputError
from flowbench.playbooks.library import find_notebooks
from flowbench.playbooks.parameters import TAG

DOCS = Path(__file__).parent
EVIDENCE = DOCS.parent / "data" / "winterday" / "evidence"
POLICY = """\
groups:
  development: {tags: {env: dev}}
  production: {tags: {env: prod}}
  office: {addresses: [198.51.100.40]}
rules:
  - {from: office, to: development, ports: 22, verdict: allow}
  - {name: development stays out of production, from: development, to: production, verdict: deny}
  - {name: no SSH from elsewhere, from: external, to: internal, ports: 22, verdict: deny}
countries: {deny: [IS]}
"""
# Invented: Winterday's external addresses are those of documentation, which no registry assigned.
COUNTRIES = """\
192.0.2.0,192.0.2.255,US
198.19.0.0,198.19.255.255,NL
198.51.100.0,198.51.100.255,IS
203.0.113.0,203.0.113.255,CH
"""
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Gallery</title>
<meta name="viewport" content="width=device-width"><style>
:root {{ color-scheme: light dark }} body {{ font: 16px sans-serif; max-width: 70em; margin: 2em }}
td, th {{ text-align: left; padding: .3em 1em .3em 0; vertical-align: top }}
</style><h1>Notebooks of flowbench {version}</h1>
<table><tr><th>notebook<th>case<th>seconds<th>ended early because
{rows}</table></html>
"""


class Result(NamedTuple):
    """A notebook that ran: its page, relative to the gallery, and how it ended."""

    title: str
    case: str
    page: Path
    seconds: float
    ended: str | None


def make_cases(folder: Path) -> Iterator[tuple[str, Path]]:
    """Make the four cases; yield the name and the folder of each, Winterday first."""
    old = folder / "version 2"
    fb.scenario.write("winterday", old, version=2, window=600)
    countries = folder / "countries.csv"
    countries.write_text(COUNTRIES, encoding="utf-8")
    cases = {
        "winterday": (EVIDENCE, countries),
        "empty": (),
        "version-2-600-s": (old / "evidence",),
        "flow-logs-only": (next(EVIDENCE.rglob("vpcflowlogs")),),
    }
    for name, evidence in cases.items():
        case = fb.Case.create(folder / "cases" / name, name)
        for path in evidence:
            case.ingest(path)
        if name == "winterday":
            case.set_policy(POLICY)
        yield name, case.path


def render(notebook: Path, name: str, case: Path, out: Path) -> Result:
    """Run a notebook on a case, and write its page."""
    node = nbformat.read(notebook, as_version=4)
    title = node.cells[0].source.partition("\n")[0].lstrip("# ")
    takes_case = any(TAG in cell.metadata.get("tags", ()) for cell in node.cells)
    page = Path(name) / notebook.relative_to(find_notebooks()).with_suffix(".html")
    (out / page).parent.mkdir(parents=True, exist_ok=True)
    begin = time.monotonic()
    outcome = fb.playbooks.run(notebook, case if takes_case else None, out / page)
    return Result(title, name, page, time.monotonic() - begin, outcome.ended)


def write_index(results: list[Result], out: Path) -> None:
    """Write the page that lists all others."""
    rows = "\n".join(
        f'<tr><td><a href="{html.escape(each.page.as_posix())}">{html.escape(each.title)}</a>'
        f"<td>{each.case}<td>{each.seconds:.0f}<td>{html.escape(each.ended or '')}"
        for each in results
    )
    page = PAGE.format(version=fb.__version__, rows=rows)
    (out / "index.html").write_text(page, encoding="utf-8")


def main(out: Path) -> None:
    """Render everything; raise SystemExit if a notebook failed."""
    results, failed = [], []
    notebooks = sorted(
        path for path in find_notebooks().rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts
    )
    with tempfile.TemporaryDirectory() as folder:
        for name, case in make_cases(Path(folder)):
            for notebook in notebooks:
                if name != "winterday" and notebook.parent.name != "playbooks":
                    continue
                try:
                    results.append(render(notebook, name, case, out))
                except InputError as error:
                    failed.append(f"{name}: {error}")
                    print(failed[-1], file=sys.stderr)
                else:
                    print(f"{results[-1].seconds:5.1f} s  {results[-1].page}")
    write_index(results, out)
    print(out / "index.html")
    if failed:
        raise SystemExit(f"{len(failed)} notebooks failed")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "build/gallery").absolute())
