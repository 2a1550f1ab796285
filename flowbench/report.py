"""The report: one HTML file that opens with no network and says what each line rests on.

The same case gives the same bytes: the report is dated by the last entry of the custody log.
Everything from evidence is escaped by the template; the file forbids itself any connection.
"""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2
import markupsafe
import pandas as pd
from plotly.offline import get_plotlyjs

from flowbench import attribution, detect, graph, plot, timeline
from flowbench.errors import InputError
from flowbench.output import plain, size
from flowbench.schema import to_frame

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from flowbench.case import Case

_GRAVE = ("high", "critical")
_SUBJECTS = 3  # hosts told in full; the others stand in the tables
_LINES = 5  # records of evidence shown for a finding
_FILES = 2_000  # evidence files listed in full
_VERSIONS = ("flowbench", "duckdb", "ibis-framework", "pyarrow", "pandas", "plotly", "networkx")
_RECORD = (
    "file", "line", "start", "end", "srcaddr", "srcport", "dstaddr", "dstport", "protocol",
    "packets", "bytes", "action",
)  # fmt: skip


def write(case: Case, path: str | Path, findings: pd.DataFrame | None = None) -> Path:
    """Write the case's report to ``path`` and return it.

    ``findings`` saves running the detectors again. Raises InputError when the file cannot be
    written.
    """
    path = Path(path)
    found = detect.run(case) if findings is None else findings
    html = _template().render(**_content(case, found))
    try:
        aside = path.with_name(path.name + ".aside")
        aside.write_text(html, encoding="utf-8")
        aside.replace(path)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from error
    return path


def _content(case: Case, found: pd.DataFrame) -> dict[str, Any]:
    figures = _Figures()
    grave = found[found["severity"].isin(_GRAVE)]
    subjects = list(dict.fromkeys(grave["subject"]))
    whole = graph.communication(case)
    events = timeline.build(case, findings=found)
    files = case.evidence
    first, last = case.span
    return {
        "case": case,
        "as_of": case.custody[-1]["time"],
        "first": first,
        "last": last,
        "subjects": [_subject(case, s, grave, whole, figures) for s in subjects[:_SUBJECTS]],
        "more_subjects": subjects[_SUBJECTS:],
        "events": events.to_dict("records"),
        "timeline": figures.add(plot.timeline(events)),
        "network": figures.add(plot.network(whole)),
        "iocs": timeline.indicators(case, found).to_dict("records"),
        "findings": [_finding(case, row, len(grave)) for _, row in found.iterrows()],
        "alerts": case.alerts.order_by("first_seen", "alert_id").to_pyarrow().to_pylist(),
        "not_run": detect.plan(case).query("not runs").to_dict("records"),
        "kinds": case.info().to_dict("records"),
        "files": files.head(_FILES).to_dict("records"),
        "more_files": max(0, len(files) - _FILES),
        "quarantine": _quarantine(case),
        "log": case.log,
        "versions": [(name, importlib.metadata.version(name)) for name in _VERSIONS],
        "plotly": markupsafe.Markup(get_plotlyjs()),  # noqa: S704  # plotly's own code, no data
    }


def _subject(
    case: Case, subject: str, grave: pd.DataFrame, whole: Any, figures: _Figures
) -> dict[str, Any]:
    """One host's story: who it is, in sentences, what it did, who is behind it."""
    mine = grave[grave["subject"] == subject]
    trace = attribution.trace(case, subject)
    pictures = [figures.add(plot.network(graph.around(whole, subject)))]
    drawn = set()
    for finding in mine.itertuples():
        if finding.peer not in drawn and pd.notna(finding.peer):
            drawn.add(finding.peer)
            pictures.append(figures.add(plot.activity(case.connections_of(subject, finding.peer))))
    return {
        "address": subject,
        "summary": attribution.summary(trace),
        "story": _story(case, subject, mine, trace),
        "findings": mine.to_dict("records"),
        "trace": trace.to_dict("records"),
        "figures": pictures,
    }


def _story(case: Case, subject: str, mine: pd.DataFrame, trace: pd.DataFrame) -> list[str]:
    """The host's case in sentences, each computed from a table of this report."""
    ends = attribution.summary(trace)
    who = f"{subject}"
    if ends["instance"]:
        who = f"Instance {ends['instance']} (interface {ends['interface']}, address {subject})"
    elif ends["interface"]:
        who = f"Interface {ends['interface']} (address {subject})"
    first, last = mine["first_seen"].min(), mine["last_seen"].max()
    story = [
        f"{who} is the subject of {len(mine)} findings of high severity or above, from"
        f" {first:%Y-%m-%d %H:%M:%S} to {last:%Y-%m-%d %H:%M:%S} UTC."
    ]
    if ends["principal"]:
        at = pd.Timestamp(ends["started_at"])
        story.append(
            f"It was started at {at:%Y-%m-%d %H:%M:%S} UTC by {ends['principal']} with access key"
            f" {ends['access_key'] or 'unknown'}, called from {ends['called_from'] or 'unknown'}."
        )
    made = trace[trace["step"] == "origin"]
    if len(made):
        at = made["time"].min()
        calls = ", ".join(
            dict.fromkeys(what.split(" called ")[1].split(" ")[0] for what in made["what"])
        )
        story.append(
            f"That principal was itself made by {ends['created_by']} from"
            f" {at:%Y-%m-%d %H:%M:%S} UTC on ({calls})."
        )
    story += [str(why) for why in mine["why"]]
    alerts = case.alerts.filter(
        (case.alerts.local_address == subject)
        | (case.alerts.instance_id == (ends["instance"] or "")).fill_null(False)
    ).to_pandas()
    if len(alerts):
        kinds = ", ".join(sorted(set(alerts["type"])))
        story.append(
            f"GuardDuty, from its own copy of the logs, raised {len(alerts)} findings: {kinds}."
        )
    story += [str(what) for what in trace.loc[trace["step"] == "gap", "what"]]
    return story


def _finding(case: Case, row: pd.Series, grave: int) -> dict[str, Any]:
    """A finding with the first of its records; low ones with the selector only."""
    told = row.to_dict()
    if row["severity"] in ("medium", *_GRAVE) or not grave:
        records = case.evidence_for(row)
        told["records"] = records.head(_LINES)[list(_RECORD)].to_dict("records")
        told["count"] = len(records)
    return told


def _quarantine(case: Case) -> list[dict[str, Any]]:
    q = case.quarantine
    counts = q.group_by("kind", "reason").aggregate(
        entries=q.count(), files=q.file.nunique(), example=q.file.min(), line=q.line.min()
    )
    frame = to_frame(counts.order_by(counts.entries.desc(), "kind", "reason").to_pyarrow())
    return frame.to_dict("records")


class _Figures:
    """Numbers the figures, so that their ids are the same in every run."""

    def __init__(self) -> None:
        self._count = 0

    def add(self, figure: go.Figure) -> markupsafe.Markup:
        """A figure as HTML without plotly's code; its data is JSON with < > & as escapes."""
        self._count += 1
        return markupsafe.Markup(  # noqa: S704  # plotly escapes what it writes into a script
            figure.to_html(
                full_html=False,
                include_plotlyjs=False,
                div_id=f"figure-{self._count}",
                config={"displaylogo": False, "responsive": True, "showSendToCloud": False},
            )
        )


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("flowbench"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"when": _when, "size": size, "number": _number, "plain": plain}
    return environment.get_template("report.html.j2")


def _when(value: object) -> str:
    if value is None or pd.isna(value):
        return ""
    return f"{pd.Timestamp(value):%Y-%m-%d %H:%M:%S}"


def _number(value: object) -> str:
    return "" if value is None or pd.isna(value) else f"{int(value):,}"  # type: ignore[call-overload]
