"""The report: one HTML file that needs no network and cites the evidence of each statement.

The same case gives the same bytes: the report is dated by the last entry of the custody log that
changed evidence, tables, findings or decisions. All text from evidence is escaped by the template,
characters that reorder or hide text are shown as codes, and the file's content security policy
forbids any connection. The SHA-256 of the file is written beside it and to the custody log.
"""

from __future__ import annotations

import importlib.metadata
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2
import markupsafe
import pandas as pd
from plotly.offline import get_plotlyjs

from flowbench import detect, plot
from flowbench.case import reports
from flowbench.case.outputs import check_output
from flowbench.errors import InputError
from flowbench.investigate import attribution, corroborate, graph, timeline
from flowbench.plot.figure import CONFIG
from flowbench.report.groups import Sources, describe_groups
from flowbench.report.incident import summarize_incident
from flowbench.report.rows import choose_rows
from flowbench.report.sources import (
    list_unlogged_interfaces,
    summarize_quarantine,
)
from flowbench.text import escape_controls, format_bytes, format_time, join_words
from flowbench.version import __version__

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from flowbench.case import Case
    from flowbench.detect import Finding, Findings

_MOST_ROWS = 20  # of the timeline that are not folded
_MOST_RECORDS = 5  # shown for a finding
_MOST_CITED = 40  # findings with records: each costs a query
_MOST_LINKS = 100  # of finding groups, in the table
_MOST_ALERTS = 200  # rows of GuardDuty findings
_MOST_FILES = 2_000  # evidence files listed
_PRINT_ZOOM = 0.7  # of figures in print; the page is narrower than the window
_PRINT_HEIGHT = 610  # pixels: what fits on a page below a heading
_VERSIONS = ("duckdb", "ibis-framework", "pyarrow", "pandas", "plotly", "networkx")
# What no line ends within: ids of AWS, and dates with their time.
_WHOLE = re.compile(
    r"\b(?:(?:i|eni|sg|subnet|vpc)-[0-9a-f]{8,17}|\d{4}-\d\d-\d\d(?: \d\d:\d\d(?::\d\d)?)?)\b"
)


@dataclass(frozen=True)
class FindingSection:
    """A finding with the first of its supporting records.

    Attributes:
        finding: The finding.
        record_count: The number of its supporting flow log records; 0 if they are not shown.
        records: The first of these, rows of Case.evidence_for.
        event_count: The number of its supporting API events and DNS queries.
        events: The first of these: rows of Case.evidence_for, with ``time``.
        files: The evidence files of ``records`` and ``events``, by evidence id.
    """

    finding: Finding
    record_count: int = 0
    records: Sequence[dict[str, Any]] = ()
    event_count: int = 0
    events: Sequence[dict[str, Any]] = ()
    files: Mapping[str, str] = field(default_factory=dict)


def write(
    case: Case,
    path: str | Path,
    findings: Findings | None = None,
    *,
    case_number: str | None = None,
    examiner: str | None = None,
    authority: str | None = None,
) -> Path:
    """Write the report of a case.

    Args:
        case: The case.
        path: The HTML file to write.
        findings: The result of detect.run; without it, the detectors are run. Suppressed findings
            are counted, not listed.
        case_number: The number of the case where it is kept, for the head of the report.
        examiner: Who examined the evidence.
        authority: On whose behalf.

    Returns:
        The path of the file.

    Raises:
        InputError: The file cannot be written, or is evidence or part of the case.
    """
    path = Path(path)
    check_output(case, path)
    if findings is None:
        findings = detect.run(case, keep=False)
    names = {"case number": case_number, "examiner": examiner, "authority": authority}
    given = [(name, value) for name, value in names.items() if value]
    html = _template().render(**_content(case, findings), given=given)
    try:
        # File names may hold bytes that are not text; they are written as codes.
        data = html.encode("utf-8", "backslashreplace")
        reports.write_report(case.path, case.log, path, data)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}; choose another path") from error
    return path


def _content(case: Case, findings: Findings) -> Mapping[str, object]:
    """What the template shows."""
    traces = attribution.trace_subjects(case, findings.at_least("high"))
    communication = graph.communication(case)
    events = timeline.build(case, findings=findings)
    alerts = corroborate.alerts(case, findings)
    links = detect.link_groups(case, findings)
    files = case.evidence
    first, last = case.span
    indicators = timeline.collect_indicators(case, findings)
    to_block = ~indicators["own_asset"].fillna(True).astype(bool)
    sources = Sources(findings, traces, communication, events, indicators, links)
    groups, more_groups = describe_groups(case, sources)
    return {
        "incident": summarize_incident(case, findings, traces, links),
        "to_block": indicators[to_block].to_dict("records"),
        "own_assets": indicators[~to_block].to_dict("records"),
        "case": case,
        "as_of": case.log.content_entry,
        "first": first,
        "last": last,
        "groups": groups,
        "more_groups": more_groups,
        "rows": choose_rows(events, _MOST_ROWS),
        "timeline": plot.timeline(events),
        "network": plot.network(communication),
        "links": links.head(_MOST_LINKS).to_dict("records"),
        "more_links": max(0, len(links) - _MOST_LINKS),
        "paths": plot.paths(links, detect.group_findings(findings)),
        "findings": [
            _cite_records(case, finding) if number < _MOST_CITED else FindingSection(finding)
            for number, finding in enumerate(findings)
        ],
        "suppressed": Counter(
            (finding.suppressed_by, finding.suppression_reason, finding.decision)
            for finding in findings.suppressed
        ),
        "alerts": alerts.head(_MOST_ALERTS).to_dict("records"),
        "more_alerts": max(0, len(alerts) - _MOST_ALERTS),
        "not_run": detect.plan(case).query("not runs").to_dict("records"),
        "kinds": case.info().to_dict("records"),
        "unlogged": list_unlogged_interfaces(case),
        "nodata": int(files["nodata"].sum()),
        "skipdata": int(files["skipdata"].sum()),
        "files": files.head(_MOST_FILES).to_dict("records"),
        "more_files": max(0, len(files) - _MOST_FILES),
        "quarantine": summarize_quarantine(case),
        "log": case.log,
        "versions": [("flowbench", __version__)]
        + [(name, importlib.metadata.version(name)) for name in _VERSIONS],
        "plotly": markupsafe.Markup(get_plotlyjs()),  # noqa: S704  # plotly's own code, no data
        "figure": _FigureRenderer(),
    }


def _cite_records(case: Case, finding: Finding) -> FindingSection:
    rows = case.evidence_for(finding)
    is_flow = rows["kind"] == "flow-logs"
    records, events = rows[is_flow].head(_MOST_RECORDS), rows[~is_flow].head(_MOST_RECORDS)
    cited = pd.concat([records, events])
    return FindingSection(
        finding,
        int(is_flow.sum()),
        records.to_dict("records"),
        int((~is_flow).sum()),
        [
            row | {"time": row["event_time" if row["kind"] == "cloudtrail" else "query_time"]}
            for row in events.to_dict("records")
        ],
        dict(cited[["evidence_id", "file"]].itertuples(index=False)),
    )


class _FigureRenderer:
    """Renders figures, numbered so that their ids are the same in every run."""

    def __init__(self) -> None:
        self._count = 0

    def __call__(self, figure: go.Figure) -> markupsafe.Markup:
        """Render a figure as HTML without plotly's code; its data is JSON with < > & as escapes."""
        self._count += 1
        html = figure.to_html(
            full_html=False,
            include_plotlyjs=False,
            div_id=f"figure-{self._count}",
            config=CONFIG | {"displayModeBar": "hover"},
        )
        zoom = min(_PRINT_ZOOM, _PRINT_HEIGHT / (figure.layout.height or _PRINT_HEIGHT))
        return markupsafe.Markup(  # noqa: S704  # plotly escapes what it writes into a script
            f'<div class="figure" style="--zoom: {zoom:.2f}">{html}</div>'
        )


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("flowbench.report"),
        autoescape=True,
        finalize=_finalize,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "time": _time,
        "size": format_bytes,
        "number": _number,
        "or_dash": _or_dash,
        "keep_ids": _keep_ids,
        "in_words": join_words,
    }
    return environment.get_template("report.html.j2")


def _finalize(value: object) -> object:
    """Show the control and direction characters of any text that the template prints as codes."""
    return value if isinstance(value, markupsafe.Markup) else escape_controls(value)


def _keep_ids(text: str) -> markupsafe.Markup:
    """Escape a sentence, and let no line end within an AWS id or a date: i-0aaaa1111."""
    safe = str(markupsafe.escape(escape_controls(text)))
    marked = _WHOLE.sub(r'<span class="whole">\g<0></span>', safe)
    return markupsafe.Markup(marked)  # noqa: S704  # escaped above


def _is_missing(value: object) -> bool:
    return value is None or bool(pd.isna(value))


def _time(value: Any) -> str:
    return "" if _is_missing(value) else format_time(pd.Timestamp(value), seconds=True)


def _or_dash(value: object) -> str:
    """A field of a record as the log itself writes it: a dash if it is missing."""
    return "-" if _is_missing(value) else str(value)


def _number(value: Any) -> str:
    return "" if _is_missing(value) else f"{int(value):,}"
