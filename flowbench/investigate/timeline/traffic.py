"""Traffic as rows of the timeline: connections of external addresses, and turning points.

A turning point of a finding is the first accepted, the first rejected, or the last connection
between its subject and its peers. Of a few peers, each has a first one: they are steps of movement
from host to host.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import ibis
import pandas as pd
import pyarrow as pa
from ibis import _

from flowbench.engine import epoch_seconds
from flowbench.enrich.ports import label
from flowbench.investigate.timeline.event import Event
from flowbench.investigate.timeline.origins import UNKNOWN, find_origins
from flowbench.investigate.timeline.repetition import describe_repetition
from flowbench.schema import to_frame
from flowbench.text import format_bytes

if TYPE_CHECKING:
    from flowbench.case import Case
    from flowbench.detect import Finding

CONNECTIONS = "Connections"
FIRST_ACCEPTED = "First accepted connection"
FIRST_REJECTED = "First rejected connection"
LAST = "Last connection"
MOST_PAIRS = 200  # connection summaries of external addresses, those with most bytes
MOST_FINDINGS = 40  # whose turning points are shown, the most severe first

_ENDS = ["initiator", "responder", "service_port", "protocol"]
_ORDER = ["first_seen", *_ENDS, "initiator_port", "last_seen"]
_MOST_STEPS = 10  # pairs of addresses of a finding that have a first connection each
_MOST_ENDS = 2_000  # pairs of addresses of a finding: of scans of whole networks it has no meaning


def connection_rows(case: Case, external: Iterable[str]) -> Iterator[Event]:
    """Yield a row for each host, peer and service of external addresses.

    The ``MOST_PAIRS`` with most bytes have a row each; the last row counts the others.

    Args:
        case: The case.
        external: External addresses.
    """
    wanted = sorted(set(external))
    if not wanted:
        return
    c = case.connections
    c = c.filter((c.initiator.isin(wanted) | c.responder.isin(wanted)) & ~c.intermediate)
    by_time = ibis.window(group_by=_ENDS, order_by=_ORDER)
    interval = epoch_seconds(c.first_seen) - epoch_seconds(c.first_seen.lag().over(by_time))
    c = c.mutate(interval=interval)
    rows = c.group_by(_ENDS).aggregate(
        initiator_port=c.initiator_port.first(order_by=[c[name] for name in _ORDER]),
        first_seen=_.first_seen.min(),
        first_end=c.last_seen.first(order_by=[c[name] for name in _ORDER]),
        last_seen=_.last_seen.max(),
        connections=_.count(),
        rejected=_.rejected.sum(),
        answered=_.answered.sum(),
        bytes_out=_.bytes_out.sum(),
        bytes_in=_.bytes_in.sum(),
        mean=_.interval.mean(),
        deviation=_.interval.std(how="pop"),
    )
    rows = rows.mutate(volume=rows.bytes_out + rows.bytes_in)
    found = to_frame(rows.order_by(ibis.desc("volume"), *_ENDS).to_pyarrow())
    shown, others = found.head(MOST_PAIRS), found.iloc[MOST_PAIRS:]
    firsts = shown.drop(columns="last_seen").rename(columns={"first_end": "last_seen"})
    origins = find_origins(case, firsts)
    for index, row in shown.iterrows():
        yield _connection_row(row, origins.get(index, UNKNOWN))
    if len(others):
        yield _other_rows(others)


def _connection_row(row: Any, origin: dict[str, Any]) -> Event:
    count, rejected = int(row["connections"]), int(row["rejected"])
    noun = "connection" if count == 1 else "connections"
    times = describe_repetition(count, row["mean"], row["deviation"]).partition(", ")[2]
    port, protocol = int(row["service_port"]), int(row["protocol"])
    detail = (
        f"{row['initiator']} opened {count:,} {noun} to {row['responder']} on"
        f" {label(port, protocol)}{f', {times}' if times else ''} ({count - rejected:,} accepted,"
        f" {rejected:,} rejected): {format_bytes(row['bytes_out'])} sent,"
        f" {format_bytes(row['bytes_in'])} received."
    )
    return Event(
        row["first_seen"],
        "flow logs",
        CONNECTIONS,
        detail,
        actor=row["initiator"],
        object=row["responder"],
        end=row["last_seen"],
        count=count,
        ports=(port,),
        rejected=rejected == count,
        **origin,
    )


def _other_rows(rows: pd.DataFrame) -> Event:
    count = int(rows["connections"].sum())
    return Event(
        rows["first_seen"].min(),
        "flow logs",
        CONNECTIONS,
        f"{count:,} more connections between {len(rows):,} other pairs of addresses and services.",
        end=rows["last_seen"].max(),
        count=count,
    )


def turning_points(case: Case, findings: Iterable[Finding]) -> Iterator[Event]:
    """Yield the first accepted, first rejected and last connection of findings.

    Of findings with at most ``_MOST_STEPS`` pairs of addresses, each pair has its first ones.
    Findings about the same subject and peers share theirs. Of findings that rest on flow records,
    the ``MOST_FINDINGS`` most severe are shown.

    Args:
        case: The case.
        findings: Findings, the most severe first.
    """
    pairs = _ends_of(findings)
    if not pairs:
        return
    c = _between(case.connections, pairs)
    kinds = [(FIRST_ACCEPTED, ~c.rejected, False), (FIRST_REJECTED, c.rejected, False)]
    kinds.append((LAST, ibis.literal(True), True))
    parts = []
    for activity, condition, is_last in kinds:
        some = c.filter(condition)
        group = ["number"] if is_last else ["number", "step"]
        order = [some[name] for name in _ORDER]
        if is_last:
            order = [some.last_seen.desc(), *order[:-1]]
        first = some.mutate(place=ibis.row_number().over(group_by=group, order_by=order))
        count = _.count().over(ibis.window(group_by=group))
        first = first.mutate(total=count).filter(_.place == 0).drop("place")
        parts.append(first.mutate(activity=ibis.literal(activity)))
    found = parts[0].union(*parts[1:]).order_by("number", "step", "activity")
    rows = to_frame(found.to_pyarrow())
    # Several findings may have a pair.
    is_known = rows.duplicated(["step", "activity"]) & (rows["activity"] != LAST)
    rows = rows[~is_known].reset_index(drop=True)
    origins = find_origins(case, rows)
    for index, row in rows.iterrows():
        if row["total"] > 1 or row["activity"] != LAST:
            yield _turning_point(row, origins.get(index, UNKNOWN))


def _turning_point(row: Any, origin: dict[str, Any]) -> Event:
    activity, total = row["activity"], int(row["total"])
    service = label(int(row["service_port"]), int(row["protocol"]))
    time = row["last_seen"] if activity == LAST else row["first_seen"]
    kind = {FIRST_ACCEPTED: "accepted ", FIRST_REJECTED: "rejected "}.get(activity, "")
    which = f"the {'last' if activity == LAST else 'first'} of {total:,} {kind}connections"
    if total == 1:
        which = f"the only {kind}connection"
    outcome = " (rejected)" if activity == LAST and row["rejected"] else ""
    ends = f"{row['initiator']} to {row['responder']} on {service}"
    detail = f"{which} from {ends}{' ended' if activity == LAST else ' began'}{outcome}."
    detail = detail[0].upper() + detail[1:]
    return Event(
        time,
        "flow logs",
        activity,
        detail,
        actor=row["initiator"],
        object=row["responder"],
        ports=(int(row["service_port"]),),
        rejected=bool(row["rejected"]),
        **origin,
    )


def _ends_of(findings: Iterable[Finding]) -> list[dict[str, Any]]:
    """Return subject and peer of the findings, with two numbers.

    ``number`` is that of a subject and its peers; ``step`` that of the pair of addresses, or the
    same for all pairs of a finding with many.
    """
    numbers: dict[tuple[Any, ...], int] = {}
    steps: dict[tuple[str, str], int] = {}
    pairs = []
    for finding in findings:
        if not finding.evidence.flows or not finding.peers:
            continue
        if len(finding.peers) * max(1, len(finding.evidence.targets)) > _MOST_ENDS:
            continue
        ends = tuple(sorted(finding.ends()))
        if ends in numbers:
            continue
        if len(numbers) == MOST_FINDINGS:
            break
        number = numbers[ends] = len(numbers)
        for pair in ends:
            step = steps.setdefault(pair, len(steps)) if len(ends) <= _MOST_STEPS else -1 - number
            pairs.append({"subject": pair[0], "peer": pair[1], "number": number, "step": step})
    return pairs


def _between(connections: ibis.Table, pairs: list[dict[str, Any]]) -> ibis.Table:
    """The connections between pairs, either of which may have opened them, by their numbers."""
    wanted = ibis.memtable(pa.Table.from_pylist(pairs))
    c = connections.filter(~_.intermediate)
    columns = [*_ORDER, "rejected"]
    found = []
    for initiator, responder in (("subject", "peer"), ("peer", "subject")):
        on = [c.initiator == wanted[initiator], c.responder == wanted[responder]]
        found.append(c.join(wanted, on).select(*columns, "number", "step"))
    return found[0].union(found[1])
