"""A page for each detector: its declaration, its docstring, its thresholds, its figures."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path

from flowbench.detect.registry import DetectorModule, registered
from flowbench.loaders import registry
from pages import figures, markdown, notebooks

# How a docstring of a detector names its parts, at the start of a paragraph.
_PART = re.compile(
    r"^(Question|Method|Severity(?:, outbound)?|What belongs to which detector|False positives"
    r"|Limitations): ",
    re.MULTILINE,
)
_ARGUMENT = re.compile(r"^    (\w+): (.*(?:\n {8}.*)*)", re.MULTILINE)


def make_pages(root: Path) -> Iterator[tuple[str, str]]:
    """Yield a page for each detector, and one that lists them."""
    modules = registered()
    for name, module in modules.items():
        yield f"detectors/{name}.md", _page(root, module)
    rows = [
        (f"[{name}](detectors/{name}.md)", m.DETECTOR.title, m.DETECTOR.question)
        for name, m in modules.items()
    ]
    yield (
        "detectors.md",
        "(detectors)=\n# Detectors\n\n"
        "`flowbench detect CASE` runs all of them, `--only ID` one. They count connections"
        " (records of both directions, all capture windows and both interfaces joined), not"
        " records. Each page has the question, the method and its source, the severity, what else"
        " can cause such a finding, what is not detected, and what was measured.\n\n"
        + markdown.table(("id", "title of its findings", "question"), rows)
        + "\n[How to read a finding](#how-to-read-a-finding),"
        " [how these numbers were measured](/benchmarks/detection.md),"
        " [how to add a detector](/docs/add-a-detector.md).\n\n"
        + markdown.toctree((f"detectors/{name}" for name in modules), "hidden"),
    )


def _page(root: Path, module: DetectorModule) -> str:
    detector = module.DETECTOR
    needs = [("ATT&CK technique", _technique(detector.technique))]
    needs.append(("Flow log fields", markdown.code(sorted(detector.needs)) or "none"))
    if detector.tables:
        needs.append(("Tables", _tables(detector.tables)))
    if detector.any_tables:
        needs.append(("One of the tables", _tables(detector.any_tables)))
    needs.append(("To run it alone", f"`flowbench detect CASE --only {detector.id}`"))
    return "\n".join(
        [
            f"(detector-{detector.id})=",
            f"# {detector.title}\n",
            f"{detector.question}\n",
            markdown.table(("Id", f"`{detector.id}`"), needs),
            *_docstring(inspect.getdoc(module) or ""),
            _thresholds(module),
            _figures(root, detector.id),
            _next_steps(root, detector.id),
        ]
    )


def _technique(technique: str) -> str:
    page = technique.replace(".", "/")
    return f"[{technique}](https://attack.mitre.org/techniques/{page}/)"


def _tables(names: frozenset[str]) -> str:
    known = registry.tables()
    return ", ".join(
        f"[{name}](#table-{name})" if name in known else f"`{name}`" for name in sorted(names)
    )


def _docstring(text: str) -> Iterator[str]:
    """Yield the parts of a docstring, each below its name; its first line is the page's title."""
    parts = _PART.split(text.partition("\n\n")[2])
    for title, part in zip(parts[1::2], parts[2::2], strict=True):
        # What a part says in other paragraphs belongs to it, up to the next part.
        body = part.strip()
        yield f"## {title}\n\n{body[0].upper()}{body[1:]}\n"


def _thresholds(module: DetectorModule) -> str:
    find = module.find
    meanings = {
        name: " ".join(text.split()) for name, text in _ARGUMENT.findall(inspect.getdoc(find) or "")
    }
    rows = [
        (f"`{name}`", f"`{parameter.default}`", meanings.get(name, ""))
        for name, parameter in inspect.signature(find).parameters.items()
        if parameter.default is not parameter.empty
    ]
    if not rows:
        return ""
    return (
        "## Thresholds\n\nParameters of the function `find` of"
        f" `{inspect.getmodule(find).__name__}`.\n\n"  # type: ignore[union-attr]
        + markdown.table(("parameter", "default", "meaning"), rows)
    )


def _next_steps(root: Path, detector: str) -> str:
    """Return where to go from a finding: its records, and the playbooks that run the detector."""
    lines = [
        "## Next\n",
        "- `flowbench evidence CASE FINDING-ID` lists the supporting records of a finding;"
        " [how to read one](#how-to-read-a-finding).",
    ]
    for path in sorted((root / "notebooks" / "playbooks").glob("*.ipynb")):
        playbook = notebooks.read(path)
        if detector in playbook.detectors:
            link = path.relative_to(root).as_posix()
            lines.append(f"- Playbook: [{playbook.title}](/{link})")
    return "\n".join(lines) + "\n"


def _figures(root: Path, detector: str) -> str:
    """Return what was measured: first on public captures, then on generated evidence."""
    lines = ["## Measured\n"]
    section = ""
    for measured in figures.read(root, detector):
        if measured.section != section:
            section = measured.section
            lines.append(f"### {section}\n")
        lines.append(measured.table)
    if not section:
        lines.append("There are no figures of this detector.\n")
    lines.append(
        "[Detection quality](/benchmarks/detection.md) describes the captures and the generator,"
        " what was missed and why, and which of these numbers to believe.\n"
    )
    return "\n".join(lines)
