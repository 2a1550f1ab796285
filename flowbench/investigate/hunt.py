"""The hunt after the fact: a new indicator list, and what was in touch with it in what is loaded.

The list is read, not loaded: the case stays as it is. Flow logs, the API's callers (CloudTrail) and
Resolver look-ups are asked; what holds in another time than a contact is shown, and counted apart.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import ibis
import pandas as pd
import pyarrow as pa
from ibis import _

from flowbench.enrich.indicators import answer_held, ignored, in_period, match
from flowbench.errors import InputError
from flowbench.io.discover import find
from flowbench.loaders import dispatch
from flowbench.loaders.intel.lists import ALLOW, column_map
from flowbench.loaders.intel.lists import TABLE as LISTED
from flowbench.schema import Table, to_frame

if TYPE_CHECKING:
    from flowbench.case import Case

CONTACTS = Table.of(
    "contacts",
    ("indicator", "string", "the indicator: address, network or domain"),
    ("kind", "string", "what the list calls it"),
    ("feed", "string", "who says so; feed text, to be escaped"),
    ("log", "string", "where the contact stands: flows, api or dns"),
    ("host", "string", "our side: the address that spoke with it, or asked for it; api: null"),
    ("interface_id", "string", "the interface that saw it"),
    ("instance_id", "string", "its instance, where inventory or log tell"),
    ("peer", "string", "the address of the indicator; dns: the name asked for"),
    ("service_port", "int32", "port that was asked for"),
    ("protocol", "int32", "IANA protocol number"),
    ("direction", "string", "inbound, outbound, internal or external"),
    ("first_seen", "time", "the first contact"),
    ("last_seen", "time", "the end of the last"),
    ("contacts", "int64", "connections, calls or look-ups"),
    ("in_period", "int64", "how many of them in the time for which the indicator holds"),
    ("answered", "int64", "connections that were answered"),
    ("rejected", "int64", "connections that were refused"),
    ("bytes_out", "int64", "bytes from host to peer"),
    ("bytes_in", "int64", "bytes from peer to host"),
    ("allowed", "string", "lists that call the peer well known"),
)

_KEY = ["indicator", "kind", "feed"]
_ORDER = ["first_seen", "log", "indicator", "kind", "feed", "host", "interface_id", "peer",
          "service_port", "protocol", "direction"]  # fmt: skip


@dataclass(frozen=True)
class Hunted:
    """What a hunt found, and what it looked at."""

    contacts: pd.DataFrame  # CONTACTS, by first contact
    indicators: int
    refused: int  # lines of the lists that could not be read
    ignored: pd.DataFrame  # enrich.indicators.IGNORED
    looked_at: pd.DataFrame  # log, records, first_seen, last_seen


def read(paths: Iterable[Path], case: Path, columns: Iterable[str] = ()) -> tuple[pa.Table, int]:
    """The indicators in some lists (load.indicators.TABLE), and how many lines were refused.

    ``columns`` name those of CSV lists, as in ``Case.ingest``. Raises InputError when a path is
    missing, unreadable or no indicator list, or the map of columns none.
    """
    names = column_map(columns)
    parts, bad = [LISTED.arrow.empty_table()], 0
    found, unread = find(paths, leave_out=case)
    if unread:
        raise InputError(f"{unread[0][0]}: {unread[0][1]}")
    for path, name in found:
        try:
            evidence = dispatch.Evidence.of(path, name)
        except OSError as error:
            raise InputError(f"{name} cannot be read: {error.strerror}") from None
        tables = list(dispatch.read(evidence, columns=names))
        if evidence.kind != "indicators":
            told = [
                row["reason"]
                for kind, rows in tables
                if kind != LISTED.name
                for row in rows.slice(0, 1).to_pylist()
                if "reason" in row
            ]
            why = told[0] if told else f"it looks like {evidence.kind}"
            raise InputError(f"{name} is no indicator list: {why}")
        bad += evidence.quarantined
        parts += [
            rows.select(LISTED.columns).cast(LISTED.arrow)
            for table, rows in tables
            if table == LISTED.name
        ]
    return pa.concat_tables(parts), bad


def hunt(case: Case, paths: Iterable[Path], columns: Iterable[str] = ()) -> Hunted:
    """Every contact in the case's logs with what these lists name.

    ``columns`` name those of CSV lists, as in ``Case.ingest``. Raises InputError for what is no
    indicator list.
    """
    rows, bad = read(paths, case.path, columns)
    listed = ibis.memtable(rows)
    allowed: dict[str, str] = {}
    parts = [_flows(case, listed, allowed), _calls(case, listed, allowed), _look_ups(case, listed)]
    contacts = to_frame(pa.concat_tables(parts)).sort_values(_ORDER, ignore_index=True)
    contacts["allowed"] = contacts["peer"].map(allowed)
    return Hunted(
        contacts[CONTACTS.columns],
        rows.num_rows,
        bad,
        to_frame(ignored(case.connection_summaries, listed)),
        _looked_at(case),
    )


def _flows(case: Case, listed: ibis.Table, allowed: dict[str, str]) -> pa.Table:
    """Connections with listed addresses, seen from the other end."""
    matches = match(case.connection_summaries, listed, case.dns, case.connections)
    allowed |= _allowed(matches)
    columns = [*_KEY, "valid_from", "valid_until", "resolved_from", "resolved_until"]
    m = ibis.memtable(matches).filter(_.kind != ALLOW)
    m = m.select(*columns, peer=m.address).distinct()
    c = case.connections
    ends = []
    for peer, host, out, back in (
        ("responder", "initiator", "bytes_out", "bytes_in"),
        ("initiator", "responder", "bytes_in", "bytes_out"),
    ):
        ends.append(
            c.select(
                "interface_id", "service_port", "protocol", "direction", "first_seen", "last_seen",
                "answered", "rejected",
                peer=c[peer], host=c[host], sent=c[out], got=c[back],
            )
        )  # fmt: skip
    j = ends[0].union(ends[1]).inner_join(m, "peer")
    j = j.filter(answer_held(j)).mutate(within=in_period(j))
    key = ["host", "interface_id", "peer", "service_port", "protocol", "direction"]
    found = j.group_by([*_KEY, *key]).aggregate(
        first_seen=j.first_seen.min(),
        last_seen=j.last_seen.max(),
        contacts=j.count(),
        in_period=j.count(where=j.within),
        answered=j.count(where=j.answered),
        rejected=j.count(where=j.rejected),
        bytes_out=j.sent.sum().cast("int64"),
        bytes_in=j.got.sum().cast("int64"),
    )
    told = case.interfaces.filter(_.instance_id.notnull()).select("interface_id", "instance_id")
    logged = case.flows.filter(_.instance_id.notnull()).select("interface_id", "instance_id")
    whose = told.union(logged).group_by("interface_id").aggregate(instance_id=_.instance_id.min())
    return _contacts(found.left_join(whose, "interface_id"), log="flows")


def _calls(case: Case, listed: ibis.Table, allowed: dict[str, str]) -> pa.Table:
    """API calls from listed addresses."""
    events = case.api_events.filter(_.source_ip.notnull())
    calls = events.select(
        address=events.source_ip, first_seen=events.event_time, last_seen=events.event_time
    )
    pairs = calls.mutate(initiator=calls.address, responder=calls.address)
    matches = match(pairs, listed, case.dns.limit(0))
    allowed |= _allowed(matches)
    m = ibis.memtable(matches).filter(_.kind != ALLOW)
    m = m.select(*_KEY, "valid_from", "valid_until", peer=m.address).distinct()
    j = calls.rename(peer="address").inner_join(m, "peer")
    found = j.mutate(within=in_period(j)).group_by([*_KEY, "peer"])
    counted = found.aggregate(
        first_seen=_.first_seen.min(),
        last_seen=_.last_seen.max(),
        contacts=_.count(),
        in_period=_.count(where=_.within),
    )
    return _contacts(counted, log="api")


def _look_ups(case: Case, listed: ibis.Table) -> pa.Table:
    """Look-ups of listed domains and of names below them, answered or not."""
    domains = listed.filter(listed.type == "domain", listed.kind != ALLOW)
    names = case.dns.filter(_.name.notnull()).select("name").distinct().to_pyarrow()["name"]
    below = [(name, suffix) for name in names.to_pylist() for suffix in _suffixes(name)]
    pairs = ibis.memtable(
        pa.table(
            {
                "name": pa.array([name for name, _suffix in below], pa.string()),
                "indicator": pa.array([suffix for _name, suffix in below], pa.string()),
            }
        )
    )
    wanted = domains.select(*_KEY, "valid_from", "valid_until").distinct()
    j = case.dns.inner_join(pairs, "name").inner_join(wanted, "indicator")
    j = j.mutate(first_seen=j.query_time, last_seen=j.query_time)
    j = j.mutate(within=in_period(j), host=j.srcaddr, peer=j.name)
    found = j.group_by([*_KEY, "host", "instance_id", "peer"]).aggregate(
        first_seen=_.first_seen.min(),
        last_seen=_.last_seen.max(),
        contacts=_.count(),
        in_period=_.count(where=_.within),
    )
    return _contacts(found, log="dns")


def _suffixes(name: str) -> list[str]:
    labels = name.split(".")
    return [".".join(labels[i:]) for i in range(len(labels))]


def _allowed(matches: pa.Table) -> dict[str, str]:
    """The allow lists that each address stands in."""
    told: dict[str, set[str]] = {}
    for row in matches.select(["address", "kind", "feed"]).to_pylist():
        if row["kind"] == ALLOW:
            told.setdefault(row["address"], set()).add(row["feed"])
    return {address: "; ".join(sorted(feeds)) for address, feeds in told.items()}


def _contacts(found: ibis.Table, *, log: str) -> pa.Table:
    rows = found.mutate(log=ibis.literal(log)).to_pyarrow()
    columns = {
        f.name: rows[f.name].cast(f.type)
        if f.name in rows.column_names
        else pa.nulls(rows.num_rows, f.type)
        for f in CONTACTS.arrow
    }
    return pa.table(columns, schema=CONTACTS.arrow)


def _looked_at(case: Case) -> pd.DataFrame:
    """The logs that were asked: log, records, first_seen, last_seen; those without records too."""
    rows = []
    for log, table, first, last in (
        ("flows", case.flows, "start", "end"),
        ("api", case.api_events, "event_time", "event_time"),
        ("dns", case.dns, "query_time", "query_time"),
    ):
        told = table.aggregate(
            records=table.count(), first_seen=table[first].min(), last_seen=table[last].max()
        )
        rows += [{"log": log} | row for row in told.to_pyarrow().to_pylist()]
    return pd.DataFrame(rows, columns=["log", "records", "first_seen", "last_seen"])
