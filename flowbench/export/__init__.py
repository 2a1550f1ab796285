"""Exports: the timeline, indicators, findings and graph of a case in the formats of other tools.

A new format is one file with a function from a case and findings to bytes, and a line in FORMATS.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from flowbench import detect
from flowbench.case import reports
from flowbench.case.outputs import check_output
from flowbench.errors import InputError
from flowbench.export import graph, indicators, navigator, ocsf, stix, timesketch

if TYPE_CHECKING:
    from flowbench.case import Case
    from flowbench.detect import Findings


class Format(NamedTuple):
    """A format: how its files end, what it is for, and the function that makes it."""

    suffix: str
    title: str
    make: Callable[[Case, Findings], bytes]


FORMATS = {
    "timesketch-csv": Format(".csv", "timeline for Timesketch, as CSV", timesketch.to_csv),
    "timesketch-jsonl": Format(
        ".jsonl", "timeline for Timesketch, as JSON lines", timesketch.to_jsonl
    ),
    "stix": Format(
        ".json", "STIX 2.1 bundle: indicators, observed data, sightings", stix.to_bundle
    ),
    "indicators": Format(".csv", "indicators of compromise, as CSV", indicators.to_csv),
    "attack-navigator": Format(".json", "layer for the ATT&CK Navigator", navigator.to_layer),
    "graphml": Format(
        ".graphml", "communication graph, for Gephi, yEd, Cytoscape", graph.to_graphml
    ),
    "gexf": Format(".gexf", "communication graph, for Gephi", graph.to_gexf),
    "ocsf": Format(".jsonl", "findings as OCSF Detection Findings, JSON lines", ocsf.to_jsonl),
}


def write(case: Case, path: str | Path, form: str, findings: Findings | None = None) -> Path:
    """Export a case to a file; its SHA-256 is written beside it and to the custody log.

    The same case gives the same bytes.

    Args:
        case: The case.
        path: The file.
        form: One of FORMATS.
        findings: The result of detect.run; without it, the detectors are run.

    Raises:
        InputError: There is no such format; or the file cannot be written, is evidence, or is part
            of the case.
    """
    path = Path(path)
    check_output(case, path)
    if form not in FORMATS:
        raise InputError(f"{form!r} is no export format: choose one of {', '.join(FORMATS)}")
    if findings is None:
        findings = detect.run(case, keep=False)
    data = FORMATS[form].make(case, findings)
    try:
        reports.write_report(case.path, case.log, path, data)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}; choose another path") from error
    return path
