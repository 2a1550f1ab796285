"""Connections and connection summaries from flow log records, written period by period."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import ibis
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from ibis.backends.duckdb import Backend

from flowbench import engine
from flowbench.connections import extension
from flowbench.connections.crossing import Moves
from flowbench.connections.extension import Before
from flowbench.connections.facts import find_facts, write_facts
from flowbench.connections.initiator import with_ownership
from flowbench.connections.periods import find_periods
from flowbench.connections.roles import with_roles
from flowbench.connections.service_ports import (
    find_constant_ports,
    is_unclear,
    with_client_ports,
)
from flowbench.connections.sessions import join_records
from flowbench.connections.staging import Staged, number_of, select_records, stage_records
from flowbench.connections.tables import IDLE_TIMEOUT, SUMMARIES, TABLE
from flowbench.enrich.monitored_network import Inventory

RECORDS_PER_FILE = 2_000_000  # about half a gigabyte of memory

_SUMMARY_KEY = ["initiator", "responder", "service_port", "protocol", "direction", "intermediate"]
_SUMS = ["bytes_out", "bytes_in", "packets_out", "packets_in", "records"]
_ORDER = ["initiator", "responder", "service_port", "protocol", "first_seen", "last_seen"]
_ADDRESSES = ["initiator", "responder", "low", "high"]  # columns with ids of addresses
_POINTS = ["point_low", "point_high", "point_any"]
_UNCLEAR_ORDER = ["low", "high", "low_port", "high_port", "protocol", "first_seen", "last_seen"]


def build_connections(  # what it reads, where it writes, and two limits
    connection: Backend,
    flows: ibis.Table,
    inventory: Inventory,
    own: ibis.Table,
    folder: Path,
    *,
    before: Before | None = None,
    idle_timeout: int = IDLE_TIMEOUT,
    per_file: int = RECORDS_PER_FILE,
    progress: Callable[[int, int, str], None] = lambda *_: None,
) -> None:
    """Write connections (TABLE), connection summaries (SUMMARIES), zones and host facts.

    The files, each .parquet, are

    * connections-<period>: the connections that end in a period of time (see periods);
    * connections-unclear: those of which the initiator depends on all others of the same hosts
      (service_ports.is_unclear), made of unclear-<period>;
    * connection_summaries, the sum of summaries-<period> and of connections-unclear;
    * address_zones and host_facts, what is known about hosts and interfaces.

    Files of periods are the same whether they are made from all records or kept from ``before``.
    The rows of each are ordered by initiator, responder, port and time.

    Args:
        connection: A DuckDB connection to work with.
        flows: Flow log records (schema.FLOWS).
        inventory: The inventory (its tables may be empty).
        own: The own addresses of interfaces (enrich.own_addresses).
        folder: Where the files and intermediate results are written.
        before: What was built from a part of the same records; its files are kept where they are
            still right.
        idle_timeout: Seconds without a record after which a new connection starts.
        per_file: Number of records after which a period ends.
        progress: Called with (steps done, number of steps, description of the next step).
    """
    progress(0, 1, "sorting flow log records by their ends")
    records = select_records(flows)
    facts = find_facts(connection, flows, records, inventory, own)
    write_facts(connection, facts, folder)
    periods = find_periods(connection, records, per_file)
    first, reopened = 0, None
    if before and (first := extension.count_kept(connection, before, periods, facts, idle_timeout)):
        extension.keep_files(before.folder, folder, periods.names[:first])
        reopened = extension.find_reopened(connection, before, periods, first)
    scratch = folder / "records"
    staged = stage_records(
        connection, records, inventory, facts, periods, scratch, first=first, reopened=reopened
    )
    moves = Moves(connection, staged, idle_timeout, scratch / "moved")
    texts = _read_texts(staged)
    steps = len(staged.parts) + 2
    for step, number in enumerate(staged.parts):
        progress(step + 1, steps, "joining records to connections")
        with join_records(connection, moves.records(number), staged.own, idle_timeout) as rows:
            _write_period(connection, rows, texts, folder, periods.names[number])
    progress(steps - 1, steps, "summing connections by initiator and responder")
    has_unclear = _write_unclear(connection, folder)
    _write_summaries(connection, folder, has_unclear=has_unclear)
    progress(steps, steps, "")


def summarize_connections(connections: ibis.Table) -> ibis.Table:
    """Sum connections (TABLE) by initiator, responder, port and protocol (SUMMARIES)."""
    c = connections
    return (
        c.group_by(_SUMMARY_KEY)
        .aggregate(
            first_seen=c.first_seen.min(),
            last_seen=c.last_seen.max(),
            connections=c.count(),
            rejected=c.count(where=c.rejected),
            answered=c.count(where=c.answered),
            **{name: c[name].sum() for name in _SUMS},
        )
        .select(*SUMMARIES.columns)
    )


def _read_texts(staged: Staged) -> dict[str, pa.Array]:
    """Read what is written for the numbers in columns: addresses, and interfaces."""
    addresses, interfaces = staged.texts()
    named = {"interface_id": interfaces} | dict.fromkeys(_ADDRESSES, addresses)
    return named | dict.fromkeys(_POINTS, pc.fill_null(interfaces, ""))


def _write_period(
    connection: Backend, rows: ibis.Table, texts: Mapping[str, pa.Array], folder: Path, name: str
) -> None:
    """Write the connections of a period, apart from unclear ones, and their summaries."""
    rows = with_ownership(rows)
    owned = engine.materialize(connection, rows.mutate(unclear=is_unclear(rows)), "owned")
    clear = owned.filter(~owned.unclear).mutate(low_clients=0, high_clients=0)
    clear = engine.materialize(connection, with_roles(clear), "clear")
    sums = _in_order(summarize_connections(clear), _ORDER)
    found = _in_order(clear.rename(interface_id="point"), [*_ORDER, "initiator_port", *_SUMS])
    unclear = owned.filter(owned.unclear).drop("unclear")
    rest = sorted(set(unclear.columns) - set(_UNCLEAR_ORDER))
    unclear = _in_order(unclear, [*_UNCLEAR_ORDER, *rest]).select(*_UNCLEAR_ORDER, *rest)
    for kind, table, columns in (
        ("connections", found, TABLE.arrow),
        ("unclear", unclear, _named(unclear, texts)),
        ("summaries", sums, SUMMARIES.arrow),
    ):
        path = folder / f"{kind}-{name}.parquet"
        engine.write_parquet(connection, [table], path, columns, texts)
    engine.drop(connection, owned, clear)


def _write_unclear(connection: Backend, folder: Path) -> bool:
    """Write the connections whose initiator depends on others; return whether there are any."""
    target = folder / "connections-unclear.parquet"
    paths = [p for p in sorted(folder.glob("unclear-*.parquet")) if pq.read_metadata(p).num_rows]
    if not paths:
        engine.write_parquet(connection, [], target, TABLE.arrow)
        return False
    unclear = engine.read_parquet(connection, paths)
    rows = with_roles(with_client_ports(unclear, find_constant_ports(connection, unclear)))
    rows = rows.mutate(interface_id=rows.point.nullif(""))
    rows = rows.order_by([*_ORDER, "initiator_port", *_SUMS]).select(*TABLE.columns)
    engine.write_parquet(connection, [rows], target, TABLE.arrow)
    return True


def _write_summaries(connection: Backend, folder: Path, *, has_unclear: bool) -> None:
    """Write the sum of the summaries of all periods and of unclear connections."""
    target = folder / f"{SUMMARIES.name}.parquet"
    paths = sorted(folder.glob("summaries-*.parquet"))
    if len(paths) == 1 and not has_unclear:
        shutil.copyfile(paths[0], target)
        return
    tables = [engine.read_parquet(connection, paths).select(*SUMMARIES.columns)] if paths else []
    if has_unclear:
        unclear = engine.read_parquet(connection, folder / "connections-unclear.parquet")
        tables.append(engine.materialize(connection, summarize_connections(unclear)))
    rows = [_merged(ibis.union(*tables)).order_by(_SUMMARY_KEY)] if paths else []
    engine.write_parquet(connection, rows, target, SUMMARIES.arrow)


def _merged(p: ibis.Table) -> ibis.Table:
    """Partial summaries as whole ones."""
    sums = {name: p[name].sum() for name in ("connections", "rejected", "answered", *_SUMS)}
    rows = p.group_by(_SUMMARY_KEY).aggregate(
        first_seen=p.first_seen.min(), last_seen=p.last_seen.max(), **sums
    )
    return rows.select(*SUMMARIES.columns)


def _in_order(rows: ibis.Table, order: list[str]) -> ibis.Table:
    """Rows in a total order, so that the file has one digest; numbers for the ids of addresses."""
    ends = [name for name in _ADDRESSES if name in rows.columns]
    return rows.order_by(order).mutate(**{name: number_of(rows[name]) for name in ends})


def _named(rows: ibis.Table, texts: Mapping[str, pa.Array]) -> pa.Schema:
    """The columns of rows once texts are in place of numbers."""
    columns = rows.schema().to_pyarrow()
    return pa.schema((name, pa.string() if name in texts else columns.field(name).type)
                     for name in columns.names)  # fmt: skip
