"""The flow records, DNS queries and API events that GuardDuty findings speak of, counted.

One query for each data source counts the records of all claims (alert_targets.Target).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

import ibis
import pyarrow as pa
from ibis import _

from flowbench.investigate.alert_targets import Target
from flowbench.schema import record_key

if TYPE_CHECKING:
    from flowbench.case import Case

_TARGETS = pa.schema(
    [
        ("number", pa.int64()),
        ("peer", pa.string()),
        ("addresses", pa.list_(pa.string())),
        ("interfaces", pa.list_(pa.string())),
        ("instances", pa.list_(pa.string())),
        ("principals", pa.list_(pa.string())),
        ("keys", pa.list_(pa.string())),
        ("ports", pa.list_(pa.int32())),
        ("api", pa.string()),
        ("since", pa.timestamp("us", tz="UTC")),
        ("until", pa.timestamp("us", tz="UTC")),
    ]
)
_SIDES = (
    (("srcaddr", "pkt_srcaddr"), ("dstaddr", "pkt_dstaddr")),
    (("dstaddr", "pkt_dstaddr"), ("srcaddr", "pkt_srcaddr")),
)


class Records(NamedTuple):
    """What the records have of a claim.

    Attributes:
        all_records: Records of host (or principal) and peer, in the period.
        records: Those among them on the finding's port, or of its API call.
        rejected: Those of ``records`` that were rejected or failed.
        first_seen, last_seen: Of ``records``.
        evidence_id, line, item: Of the first of ``records``.
        answers: Addresses that a domain resolved to.
    """

    all_records: int
    records: int
    rejected: int
    first_seen: datetime | None
    last_seen: datetime | None
    evidence_id: str | None
    line: int | None
    item: int | None
    answers: tuple[str, ...] = ()


def count_flows(case: Case, targets: Sequence[Target]) -> dict[int, Records]:
    """Count the flow records between the host and the peer of each target, by its number.

    Both ends are compared with the record's addresses and with its packet's addresses.
    """
    wanted = _to_table(targets)
    r = _turn(case.flows, sorted({target.peer for target in targets if target.peer}))
    j = r.join(wanted, r.peer == wanted.peer)
    is_host = j.addresses.contains(j.local) | j.addresses.contains(j.packet_local)
    is_host = is_host.fill_null(False) | j.interfaces.contains(j.interface_id).fill_null(False)
    j = j.filter(is_host, j["end"] >= j.since, j.start <= j.until)
    on_port = (j.ports.length() == 0) | j.ports.contains(j.srcport) | j.ports.contains(j.dstport)
    j = j.mutate(is_exact=on_port.fill_null(False), failed=j.action == "REJECT")
    return _count(j, "start", "end")


def count_queries(case: Case, targets: Sequence[Target]) -> dict[int, Records]:
    """Count the DNS queries of the host for the domain of each target, or for names below it."""
    wanted = _to_table(targets)
    domains = sorted({target.peer for target in targets if target.peer})
    dns = case.dns.mutate(srcaddr=case.dns.srcaddr.re_replace("%.*", ""))
    columns = ["srcaddr", "instance_id", "query_time", "rcode", "answers", *record_key(dns.columns)]
    labels = dns.name.split(".")
    parts = []
    for count in sorted({domain.count(".") + 1 for domain in domains}):
        end = labels[-count:].join(".")  # as many labels of the name as the domain has
        named = dns.filter(end.isin([d for d in domains if d.count(".") + 1 == count]))
        parts.append(named.select(*columns, peer=named.name.split(".")[-count:].join(".")))
    q = ibis.union(*parts) if len(parts) > 1 else parts[0]
    j = q.join(wanted, q.peer == wanted.peer)
    is_host = j.addresses.contains(j.srcaddr).fill_null(False)
    is_host |= j.instances.contains(j.instance_id).fill_null(False)
    is_host |= (j.addresses.length() == 0) & (j.instances.length() == 0)
    j = j.filter(is_host, j.query_time >= j.since, j.query_time <= j.until)
    j = j.mutate(is_exact=ibis.literal(True), failed=j.rcode != "NOERROR")
    return _count(j, "query_time", "query_time")


def count_calls(case: Case, targets: Sequence[Target]) -> dict[int, Records]:
    """Count the API events of the principal or key, from the peer of each target if it has one."""
    wanted = _to_table(targets)
    events = case.api_events
    columns = ["event_time", "event_name", "error_code", "source_ip", "principal_name"]
    e = events.select(
        *columns,
        "access_key_id",
        *record_key(events.columns),
        role=events.principal_name.re_replace("/.*", ""),
    )
    is_caller = wanted.keys.contains(e.access_key_id).fill_null(False)
    is_caller |= wanted.principals.contains(e.principal_name).fill_null(False)
    is_caller |= wanted.principals.contains(e.role).fill_null(False)
    is_caller |= (wanted.keys.length() == 0) & (wanted.principals.length() == 0)
    is_peer = wanted.peer.isnull() | (wanted.peer == e.source_ip).fill_null(False)
    j = e.join(
        wanted,
        [e.event_time >= wanted.since, e.event_time <= wanted.until, is_caller & is_peer],
    )
    is_exact = j.api.isnull() | (j.api == j.event_name)
    j = j.mutate(
        is_exact=is_exact, failed=j.error_code.notnull(), answers=ibis.null("array<string>")
    )
    return _count(j, "event_time", "event_time")


def _turn(flows: ibis.Table, peers: Sequence[str]) -> ibis.Table:
    """Return the records from and to some peers, with columns ``peer`` and ``local``."""
    parts = []
    for (peer, packet_peer), (local, packet_local) in _SIDES:
        for name in (peer, packet_peer):
            rows = flows.filter(flows[name].isin(peers))
            if name != peer:  # else it is counted by the other address
                rows = rows.filter((rows[peer] != rows[name]).fill_null(True))
            parts.append(
                rows.select(
                    "srcport",
                    "dstport",
                    "action",
                    "interface_id",
                    "start",
                    "end",
                    *record_key(rows.columns),
                    peer=rows[name],
                    local=rows[local],
                    packet_local=rows[packet_local],
                )
            )
    return ibis.union(*parts).mutate(answers=ibis.null("array<string>"))


def _count(j: ibis.Table, start: str, end: str) -> dict[int, Records]:
    """Count the records of each target, and of those with ``is_exact`` the period and the first."""
    if "item" not in j.columns:
        j = j.mutate(item=ibis.null("int64"))
    exact = j.is_exact
    order = [j[start], j.evidence_id, j.line, j["item"]]
    answers = j.filter(j.answers.notnull()).select("number", answer=_.answers.unnest()).distinct()
    answers = answers.group_by("number").aggregate(answers=_.answer.collect(order_by=_.answer))
    counts = j.group_by("number").aggregate(
        all_records=j.count(),
        records=j.count(where=exact),
        rejected=j.count(where=exact & j.failed.fill_null(False)),
        first_seen=j[start].min(where=exact),
        last_seen=j[end].max(where=exact),
        **{
            name: j[name].first(order_by=order, where=exact)
            for name in ("evidence_id", "line", "item")
        },
    )
    counts = counts.left_join(answers, "number").drop("number_right")
    rows = counts.order_by("number").to_pyarrow().to_pylist()
    return {
        row.pop("number"): Records(**row | {"answers": tuple(row["answers"] or ())}) for row in rows
    }


def _to_table(targets: Sequence[Target]) -> ibis.Table:
    rows = [
        {
            "number": target.number,
            "peer": target.peer,
            "addresses": list(target.addresses),
            "interfaces": list(target.interface_ids),
            "instances": sorted({*(target.alert["instance_ids"] or ())}),
            "principals": list(target.principals),
            "keys": list(target.keys),
            "ports": list(target.ports),
            "api": target.alert["api"],
            "since": target.first,
            "until": target.last,
        }
        for target in targets
    ]
    return ibis.memtable(pa.Table.from_pylist(rows, schema=_TARGETS))
