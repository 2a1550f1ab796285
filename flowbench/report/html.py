"""The report: one HTML file that opens with no network and says what each line rests on.

The same case gives the same bytes: the report is dated by the last entry of the custody log.
Everything from evidence is escaped by the template, characters that reorder or hide text are shown
as codes, and the file forbids itself any connection.
"""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2
import markupsafe
import pandas as pd
from plotly.offline import get_plotlyjs

from flowbench import __version__, detect, plot
from flowbench.errors import InputError
from flowbench.investigate import attribution, graph, timeline
from flowbench.schema import to_frame
from flowbench.text import escape_controls, format_bytes

if TYPE_CHECKING:
    import networkx as nx
    import plotly.graph_objects as go

    from flowbench.case import Case
    from flowbench.detect import Findings

_SUBJECTS = 3  # hosts told in full; the others stand in the tables
_LINES = 5  # records of evidence shown for a finding
_PROVEN = 40  # findings shown with records: each costs a query
_ALERTS = 200
_NAMED = 12  # things named in a sentence
_FILES = 2_000  # evidence files listed in full
_VERSIONS = ("duckdb", "ibis-framework", "pyarrow", "pandas", "plotly", "networkx")


def write(case: Case, path: str | Path, findings: Findings | None = None) -> Path:
    """Write the case's report to ``path`` and return it.

    ``findings`` saves running the detectors again; those that allow lists cover 
    are counted, not listed. Raises InputError when the file cannot be
    written.
    """
    path = Path(path)
    found = detect.run(case, keep=False) if findings is None else findings
    rest = found.suppressed.to_pandas()
    lists = rest.groupby(["suppressed_by", "suppression_reason"], as_index=False)
    hidden = lists.agg(findings=("finding_id", "size")).to_dict("records")
    html = _template().render(**_content(case, found), hidden=hidden)
    aside = path.with_name(path.name + ".aside")
    try:
        # File names may hold bytes that are no text; they are written as codes.
        aside.write_text(html, encoding="utf-8", errors="backslashreplace")
        aside.replace(path)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise InputError(f"cannot write {path}: {error.strerror}; choose another place") from error
    return path


def _content(case: Case, findings: Findings) -> dict[str, Any]:
    figures = _Figures()
    found, grave = findings.to_pandas(), findings.at_least("high").to_pandas()
    subjects = attribution.trace_subjects(case, grave)
    whole = graph.communication(case)
    events = timeline.build(case, findings=findings)
    files = case.evidence
    first, last = case.span
    return {
        "case": case,
        "as_of": case.custody[-1]["time"],
        "first": first,
        "last": last,
        "subjects": [_subject(case, *one, whole, events, figures) for one in subjects[:_SUBJECTS]],
        "more_subjects": [subject for subject, *_ in subjects[_SUBJECTS:]],
        "events": events.to_dict("records"),
        "timeline": figures.add(plot.timeline(events)),
        "network": figures.add(plot.network(whole)),
        "iocs": timeline.indicators(case, findings).to_dict("records"),
        "findings": [
            _finding(case, row, shown=number < _PROVEN)
            for number, (_, row) in enumerate(found.iterrows())
        ],
        "alerts": _alerts(case, found),
        "more_alerts": max(0, case.alerts.count().execute() - _ALERTS),
        "not_run": detect.plan(case).query("not runs").to_dict("records"),
        "kinds": case.info().to_dict("records"),
        "silent": _silent(case),
        "nodata": int(files["nodata"].sum()),
        "skipdata": int(files["skipdata"].sum()),
        "files": files.head(_FILES).to_dict("records"),
        "more_files": max(0, len(files) - _FILES),
        "quarantine": _quarantine(case),
        "log": case.log,
        "versions": [("flowbench", __version__)]
        + [(name, importlib.metadata.version(name)) for name in _VERSIONS],
        "plotly": markupsafe.Markup(get_plotlyjs()),  # noqa: S704  # plotly's own code, no data
    }


def _subject(
    case: Case,
    subject: str,
    trace: pd.DataFrame,
    mine: pd.DataFrame,
    whole: nx.DiGraph,
    events: pd.DataFrame,
    figures: _Figures,
) -> dict[str, Any]:
    """One host's story: who it is, in sentences, what it did, who is behind it."""
    ends = attribution.summary(trace)
    pictures = [figures.add(plot.network(graph.around(whole, subject)))]
    pictures += [
        figures.add(plot.activity(case.connections_of(subject, peer)))
        for peer in dict.fromkeys(mine["peer"].dropna())
    ]
    return {
        "address": subject,
        "facts": [
            ({"start": "start event"}.get(name, name.replace("_", " ")), value)
            for name, value in ends.items()
            if value
        ],
        "story": [
            *_who(case, subject, mine, trace, ends),
            *_what(mine),
            *_others(case, subject, trace, ends, events),
            *trace.loc[trace["step"] == "gap", "what"],
        ],
        "trace": trace.to_dict("records"),
        "figures": pictures,
    }


def _who(
    case: Case, subject: str, mine: pd.DataFrame, trace: pd.DataFrame, ends: dict[str, str | None]
) -> list[str]:
    """Whose host it is: sentences, each computed from a table of this report."""
    who = subject
    if ends["instance"]:
        who = f"Instance {ends['instance']} (interface {ends['interface']}, address {subject})"
    elif ends["interface"]:
        who = f"Interface {ends['interface']} (address {subject})"
    first, last = mine["first_seen"].min(), mine["last_seen"].max()
    count = "one finding" if len(mine) == 1 else f"{len(mine)} findings"
    story = [
        f"{who} is the subject of {count} of high severity or above, from {_when(first)} to"
        f" {_when(last)} UTC."
    ]
    if ends["principal"]:
        story.append(
            f"It was started at {_when(ends['started_at'])} UTC by {ends['principal']} with access"
            f" key {ends['access_key'] or 'unknown'}, called from"
            f" {ends['called_from'] or 'unknown'}."
        )
    made = trace[(trace["step"] == "origin") & trace["value"].notna()]
    if len(made):
        e = case.api_events
        calls = e.filter(e.event_id.isin(list(made["ref"].dropna()))).order_by("event_time")
        names = ", ".join(dict.fromkeys(calls.event_name.to_pyarrow().to_pylist()))
        story.append(
            f"That principal was itself set up by {ends['created_by']} ({names}), from"
            f" {_when(made['time'].min())} UTC on."
        )
    return [*story, *trace.loc[trace["step"].isin(["usual", "maker"]), "what"]]


def _what(mine: pd.DataFrame) -> list[str]:
    """What it did, by time: of each peer the best finding, and what each other detector adds."""
    told = []
    for _, same in mine.groupby(mine["peer"].fillna(mine["finding_id"]), sort=False):
        best, *others = same.drop_duplicates("detector").to_dict("records")
        also = [f" Also found as {one['title']}: {one['summary']}" for one in others]
        told.append((best["first_seen"], best["finding_id"], best["summary"] + "".join(also)))
    return [f"From {_when(first)} on: {why}" for first, _, why in sorted(told)]


def _others(
    case: Case,
    subject: str,
    trace: pd.DataFrame,
    ends: dict[str, str | None],
    events: pd.DataFrame,
) -> list[str]:
    """What GuardDuty says of it, and what others did to it afterwards."""
    story = []
    a = case.alerts
    mine = (a.local_address == subject) | (a.instance_id == (ends["instance"] or ""))
    kinds = a.filter(mine.fill_null(False)).type.to_pyarrow().to_pylist()
    if kinds:
        story.append(
            f"GuardDuty, from its own copy of the logs, raised"
            f" {'one finding' if len(kinds) == 1 else f'{len(kinds)} findings'}:"
            f" {', '.join(sorted(set(kinds)))}."
        )
    told = set(trace["ref"].dropna())
    after = events[
        (events["kind"] == "api") & (events["subject"] == subject) & ~events["ref"].isin(told)
    ]
    story += [f"At {_when(one.time)} UTC {one.what}" for one in after.head(_NAMED).itertuples()]
    return story


def _finding(case: Case, row: pd.Series, *, shown: bool) -> dict[str, Any]:
    """A finding with the first of its records."""
    told = row.to_dict() | {"records": [], "files": {}, "count": 0}
    if shown:
        records = case.evidence_for(row)
        first = records.head(_LINES)
        told["count"] = len(records)
        told["files"] = dict(first[["evidence_id", "file"]].itertuples(index=False))
        told["records"] = first.to_dict("records")
    return told


def _alerts(case: Case, found: pd.DataFrame) -> list[dict[str, Any]]:
    """GuardDuty's findings, each with the findings of this report that say the same."""
    alerts = case.alerts.order_by("first_seen", "alert_id").limit(_ALERTS)
    rows = alerts.to_pyarrow().to_pylist()
    d = case.dns
    named = d.filter(d.name.isin([row["domain"] for row in rows if row["domain"]]))
    answers: dict[str, set[str]] = {}
    pairs = named.select("name", answer=d.answers.unnest()).distinct()
    for pair in pairs.to_pyarrow().to_pylist():
        answers.setdefault(pair["name"], set()).add(pair["answer"])
    book = case.address_assignments.filter(case.address_assignments.instance_id.notnull())
    hosts: dict[str, set[str]] = {}
    for host in book.select("instance_id", "address").to_pyarrow().to_pylist():
        hosts.setdefault(host["instance_id"], set()).add(host["address"])
    for row in rows:
        local = {row["local_address"]} | hosts.get(row["instance_id"], set())
        remote = {row["remote_address"]} | answers.get(row["domain"], set())
        same = found["subject"].isin(local) & found["peer"].isin(remote - {None})
        row["agrees"] = list(found.loc[same, "finding_id"])
    return rows


def _silent(case: Case) -> list[str]:
    """Interfaces of the inventory that no flow log record names."""
    listed = case.interfaces.select("interface_id").distinct()
    seen = case.flows.select("interface_id").distinct()
    silent = listed.anti_join(seen, "interface_id").order_by("interface_id")
    return [name for name in silent.interface_id.to_pyarrow().to_pylist() if name]


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
        loader=jinja2.PackageLoader("flowbench.report"),
        autoescape=True,
        finalize=_shown,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "when": _when,
        "size": format_bytes,
        "number": _number,
        "or_dash": _or_dash,
    }
    return environment.get_template("report.html.j2")


def _shown(value: object) -> object:
    """What a template prints: text with its control and direction characters as codes."""
    return value if isinstance(value, markupsafe.Markup) else escape_controls(value)


def _when(value: object) -> str:
    if value is None or pd.isna(value):
        return ""
    return f"{pd.Timestamp(value):%Y-%m-%d %H:%M:%S}"


def _or_dash(value: object) -> str:
    """A field of a record as the log itself writes it: a dash where there is none."""
    return "-" if value is None or pd.isna(value) else str(value)


def _number(value: object) -> str:
    return "" if value is None or pd.isna(value) else f"{int(value):,}"  # type: ignore[call-overload]
