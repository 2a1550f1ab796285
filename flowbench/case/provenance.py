"""Provenance: from a finding back to the records that support it, with file and line."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from flowbench.case import custody
from flowbench.connections.zones import is_host
from flowbench.enrich.namesakes import recorded_name
from flowbench.errors import CaseError, InputError
from flowbench.io import atomic
from flowbench.schema import record_key, to_frame
from flowbench.selector import ApiEventSelector, DnsSelector, EvidenceSelector

# Columns of findings that a decision keeps.
_STATE = ("finding_id", "severity", "first_seen", "last_seen", "peers")


def resolve_selector(case: Path, log: custody.CustodyLog, finding: object) -> EvidenceSelector:
    """Return the selector of a finding.

    Args:
        case: The folder of the case.
        log: Its custody log, which names the kept findings.
        finding: A selector; a finding; a row of a table of findings; or the id of a finding in a
            run that the case keeps, of which the latest counts.

    Raises:
        InputError: It is none of these.
        CaseError: The kept findings are damaged.
    """
    if isinstance(finding, str):
        return EvidenceSelector.from_json(
            _find_kept(case, log, finding, ["finding_id", "evidence"])["evidence"]
        )
    if isinstance(finding, Mapping | pd.Series):
        evidence = finding.get("evidence")
    else:
        evidence = getattr(finding, "evidence", finding)
    if isinstance(evidence, EvidenceSelector):
        return evidence
    return EvidenceSelector.from_json(evidence)  # type: ignore[arg-type]  # it checks


def describe_finding(case: Path, log: custody.CustodyLog, finding: object) -> dict[str, Any]:
    """Return what a decision keeps of a finding; see ``resolve_selector`` for the arguments.

    Returns:
        finding_id, severity, first_seen and last_seen (ISO 8601, UTC), peers (their number), and
        suppressed_by where something suppresses it.
    """
    if isinstance(finding, str):
        row: Any = _find_kept(case, log, finding, (*_STATE, "suppressed_by"))
    elif isinstance(finding, Mapping | pd.Series):
        row = finding
    else:
        row = {name: getattr(finding, name, None) for name in (*_STATE, "suppressed_by")}
    values = {name: row.get(name) for name in _STATE}
    if any(value is None for value in values.values()):
        raise InputError(
            "not a finding: give a finding that detect.run returned, a row of a table of findings,"
            " or the id of a finding"
        )
    times = {name: pd.Timestamp(values[name]).isoformat() for name in ("first_seen", "last_seen")}
    lists = row.get("suppressed_by")
    suppressed = {} if lists is None or pd.isna(lists) else {"suppressed_by": lists}
    return values | times | {"peers": len(values["peers"])} | suppressed


def _find_kept(
    case: Path, log: custody.CustodyLog, finding_id: str, columns: Sequence[str]
) -> dict[str, Any]:
    """Return columns of a finding in the latest run that has it."""
    runs = [run for e in log.entries_of("detect") for run in e["details"].get("runs") or ()]
    for run in reversed(runs):
        rows = _read_run(case / "findings" / Path(run["file"]).name, run["sha256"], columns)
        found = np.flatnonzero(rows["finding_id"].to_numpy() == finding_id)
        if len(found):
            return rows.slice(found[0], 1).to_pylist()[0]
    raise InputError(
        f"{finding_id!r} is not a finding that this case keeps: run the detectors"
        " (`flowbench detect`), and give an id that they print"
    )


def _read_run(path: Path, sha256: str, columns: Sequence[str]) -> pa.Table:
    try:
        data = atomic.read_bytes(path)
        if atomic.sha256_bytes(data) != sha256:
            raise ValueError("changed since they were written")
        return pq.read_table(pa.BufferReader(data), columns=list(columns))
    except (OSError, ValueError) as error:  # Arrow's errors are ValueErrors
        raise CaseError(
            f"the kept findings cannot be read ({path}: {error}): run the detectors again, and"
            " give one of the findings that they return"
        ) from error


def select_evidence(
    selector: EvidenceSelector,
    table: Callable[[str], ibis.Table],
    manifest: pd.DataFrame,
    *,
    offset: int = 0,
    limit: int | None = None,
) -> pd.DataFrame:
    """Return the records that a selector chooses, each with its kind, file and line.

    Args:
        selector: What to choose.
        table: Gives a table of the case by name.
        manifest: The evidence files of the case.
        offset: How many of the first records to leave out.
        limit: The most records to return; None for all.

    Returns:
        The columns of ``flows``, ``api_events`` or ``dns``, with ``kind`` (that of the evidence:
        'flow-logs', 'cloudtrail', 'dns') and ``file``; flow records first, each kind by time,
        evidence_id, line and item. With several kinds the columns of all of them, where what a
        kind lacks is missing.
    """
    frames = []
    for kind, time, rows in _choose(selector, table):
        ordered = rows.order_by(time, *record_key(rows.columns))
        if offset or limit is not None:
            ordered = ordered.limit(limit, offset=offset)
            offset = max(0, offset - _count(rows)) if offset else 0
        frame = to_frame(ordered.to_pyarrow()).assign(kind=kind)
        limit = None if limit is None else limit - len(frame)
        frames.append(frame)
    records = pd.concat(frames, ignore_index=True) if len(frames) > 1 else frames[0]
    files: dict[Any, Any] = dict(zip(manifest["evidence_id"], manifest["file"], strict=True))
    return records.assign(file=records["evidence_id"].map(files))


def count_evidence(selector: EvidenceSelector, table: Callable[[str], ibis.Table]) -> int:
    """Return how many records ``select_evidence`` returns."""
    return sum(_count(rows) for _kind, _time, rows in _choose(selector, table))


def _count(rows: ibis.Table) -> int:
    return int(rows.count().to_pyarrow().as_py())


def _choose(
    selector: EvidenceSelector, table: Callable[[str], ibis.Table]
) -> list[tuple[str, str, ibis.Table]]:
    """Return the kinds of records that a selector chooses: kind, column of time, and records."""
    chosen = []
    if selector.flows or not (selector.api_events or selector.dns):
        records = _select_flows(table("flows"), selector, table("address_zones"))
        chosen.append(("flow-logs", "start", records))
    if selector.api_events:
        events = table("api_events")
        events = events.filter(api_event_condition(events, selector.api_events))
        names = ("principal_name", "target_user")
        events = events.mutate(**{name: recorded_name(events[name]) for name in names})
        chosen.append(("cloudtrail", "event_time", events))
    if selector.dns:
        chosen.append(("dns", "query_time", _select_dns(table("dns"), selector.dns)))
    return chosen


def _select_flows(flows: ibis.Table, selector: EvidenceSelector, zones: ibis.Table) -> ibis.Table:
    conditions = [_between(flows, selector, zones)]
    if selector.interfaces:
        conditions = [
            flows.interface_id.isin(selector.interfaces),
            flows.log_status == selector.log_status,
        ]
    if selector.ports:
        conditions.append(flows.srcport.isin(selector.ports) | flows.dstport.isin(selector.ports))
    if selector.protocol is not None:
        conditions.append(flows.protocol == selector.protocol)
    if selector.first_seen:
        conditions.append(flows["end"] >= pd.Timestamp(selector.first_seen))
    if selector.last_seen:
        conditions.append(flows.start <= pd.Timestamp(selector.last_seen))
    return flows.filter(*conditions)


def _between(flows: ibis.Table, selector: EvidenceSelector, zones: ibis.Table) -> ibis.Value:
    """Whether a record runs between subject and peers, by its own or its packet's addresses."""
    sources, destinations = ["srcaddr", "pkt_srcaddr"], ["dstaddr", "pkt_dstaddr"]
    subjects = selector.targets or (selector.subject,)

    def has_ends(from_columns: list[str], to_columns: list[str]) -> ibis.Value:
        return is_host(flows, from_columns, subjects, zones) & is_host(
            flows, to_columns, selector.peers, zones
        )

    return has_ends(sources, destinations) | has_ends(destinations, sources)


def api_event_condition(events: ibis.Table, selector: ApiEventSelector) -> Any:
    """Whether API events (cloudtrail.TABLE) are chosen by a selector, as an expression."""
    by_column = {
        "event_id": selector.event_ids,
        "event_name": selector.event_names,
        "source_ip": selector.source_ips,
        "access_key_id": selector.access_key_ids,
    }
    conditions = [events[name].isin(values) for name, values in by_column.items() if values]
    if selector.principals:
        names, arns = events.principal_name, events.principal_arn
        is_named = names.isin(selector.principals) | arns.isin(selector.principals)
        # A finding may be older than the evidence of another account with the name.
        conditions.append(is_named | recorded_name(names).isin(selector.principals))
    return ibis.and_(*conditions, *_in_period(events.event_time, selector))


def _select_dns(queries: ibis.Table, selector: DnsSelector) -> ibis.Table:
    by_column = {"query_type": selector.query_types, "rcode": selector.rcodes}
    conditions = [queries[name].isin(values) for name, values in by_column.items() if values]
    if selector.domains:
        labels, counts = queries.name.split("."), {d.count(".") + 1 for d in selector.domains}
        ends = (labels[-count:].join(".") for count in sorted(counts))
        conditions.append(ibis.or_(*(end.isin(selector.domains) for end in ends)))
    if selector.clients:
        clients = selector.clients
        conditions.append(queries.srcaddr.isin(clients) | queries.instance_id.isin(clients))
    found = queries.filter(*conditions, *_in_period(queries.query_time, selector))
    return found.mutate(srcaddr=found.srcaddr.re_replace("%.*", ""))  # as the record has it


def _in_period(time: ibis.Value, selector: ApiEventSelector | DnsSelector) -> list[ibis.Value]:
    conditions = []
    if selector.first_seen:
        conditions.append(time >= pd.Timestamp(selector.first_seen))
    if selector.last_seen:
        conditions.append(time <= pd.Timestamp(selector.last_seen))
    return conditions
