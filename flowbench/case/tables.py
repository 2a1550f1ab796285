"""The tables of a case, as Ibis tables.

Loading fills the tables of ``loaders.registry``; connections and summaries are in the cache; the
rest is computed in memory when it is first asked for.
"""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cached_property, partial
from pathlib import Path

import ibis
import pandas as pd
import pyarrow as pa
from ibis.backends.duckdb import Backend

from flowbench import engine
from flowbench.case import cache
from flowbench.case.custody import CustodyLog
from flowbench.case.query import ParquetTable
from flowbench.connections import zones
from flowbench.enrich import (
    address_context,
    assignments,
    indicators,
    interface_events,
    inventory,
    namesakes,
    principals,
)
from flowbench.errors import CaseError, InputError
from flowbench.loaders import registry
from flowbench.loaders.intel.indicators import ALLOW
from flowbench.text import format_count

_FOLDER = "tables"
_CACHED = ("connections", "connection_summaries", "address_zones")
_COMPUTED = (
    "addresses",
    "address_assignments",
    "indicator_matches",
    "allow_list_matches",
    "principal_addresses",
)

# Tables of which the latest of several rows with the same key counts: (key, time).
_LATEST = {"api_events": ("event_id", "event_time"), "alerts": ("alert_id", "updated_at")}


class CaseTables:
    """The tables of a case; ``Case`` adds what can be done with them.

    Tables are cached properties: IPython completes their columns, but not those of properties.

    Attributes:
        path: The folder of the case.
        log: Its custody log, which names the parts of the tables.
        progress: Called with (steps done, of steps, next step) during long computations.
    """

    def __init__(self, path: Path, log: CustodyLog) -> None:
        self.path = path
        self.log = log
        self.progress: Callable[[int, int, str], None] = lambda *_: None
        self._connection = engine.connect(
            cache.spill_folder(path), [path, Path(tempfile.gettempdir())]
        )

    def table(self, name: str) -> ibis.Table:
        """Return one of the tables that loading fills (loaders.registry), or a cached one.

        Raises InputError when there is no such table.
        """
        if name not in self._tables:
            paths = self._paths(name)
            rows = _read_table(self._connection, name, paths, keep_earlier=True)
            if name in _LATEST and paths:
                rows = engine.drop_earlier_rows(self._connection, rows, *_LATEST[name])
            self._tables[name] = rows
        return self._tables[name]

    def has(self, name: str) -> bool:
        """Whether loading put any row into a table; for 'policy', whether one is set."""
        if name == "policy":
            return any(self.log.entries_of("policy"))
        return any(part["table"] == name for part in self.log.parts)

    @cached_property
    def flows(self) -> ibis.Table:
        """Flow log records (schema.FLOWS, and every other field that the evidence has)."""
        return self.table("flows")

    @cached_property
    def interfaces(self) -> ibis.Table:
        """Network interfaces (loaders.aws.interfaces.TABLE)."""
        return self.table("interfaces")

    @cached_property
    def api_events(self) -> ibis.Table:
        """CloudTrail events (loaders.aws.cloudtrail.TABLE), one row for each event id.

        Names of principals have their account where several accounts have the name.
        """
        return namesakes.with_accounts(self.table("api_events"), self.namesakes)

    @cached_property
    def alerts(self) -> ibis.Table:
        """GuardDuty findings (loaders.aws.guardduty.TABLE), the latest update of each.

        Names of principals are as in ``api_events``.
        """
        return namesakes.with_alert_accounts(self.table("alerts"), self.namesakes)

    @cached_property
    def namesakes(self) -> frozenset[str]:
        """The names that principals of several accounts have (enrich.namesakes)."""
        if not (self.has("api_events") or self.has("alerts")):
            return frozenset()
        return namesakes.find_namesakes(self.table("api_events"), self.table("alerts"))

    @cached_property
    def dns(self) -> ibis.Table:
        """DNS queries from Resolver query logs (loaders.aws.resolver.TABLE).

        ``srcaddr`` has a zone where several hosts have the address, as in ``connections``.
        """
        dns = self.table("dns")
        if self.has("dns") and self.has("flows") and self.address_zones.count().execute():
            return zones.with_dns_zones(dns, self.address_zones)
        return dns

    @cached_property
    def indicators(self) -> ibis.Table:
        """Indicators of all lists (loaders.intel)."""
        return self.table("indicators")

    @cached_property
    def quarantine(self) -> ibis.Table:
        """What could not be read, with file, line and reason (loaders.base.QUARANTINE)."""
        return self.table("quarantine")

    @cached_property
    def connections(self) -> ibis.Table:
        """Connections: records of both directions and all capture windows joined."""
        return self.table("connections")

    @cached_property
    def connection_summaries(self) -> ibis.Table:
        """Connections summed by initiator, responder, service port and protocol."""
        return self.table("connection_summaries")

    @cached_property
    def address_zones(self) -> ibis.Table:
        """Which host is meant where several have one address (connections.zones.TABLE)."""
        return self.table("address_zones")

    @cached_property
    def indicator_matches(self) -> ibis.Table:
        """Which indicators cover which external address (enrich.indicators.MATCHES)."""
        return self._match(self.indicators.filter(self.indicators.kind != ALLOW))

    @cached_property
    def allow_list_matches(self) -> ibis.Table:
        """Which allow lists cover which address, internal ones too (indicators.MATCHES)."""
        return self._match(self.indicators.filter(self.indicators.kind == ALLOW), internal=True)

    @cached_property
    def principal_addresses(self) -> ibis.Table:
        """Addresses of API callers that are ends of connections too (enrich.principals.TABLE)."""
        rows = principals.principal_addresses(self.connection_summaries, self.api_events)
        return engine.register(self._connection, rows)

    @cached_property
    def address_assignments(self) -> ibis.Table:
        """Which interface and instance had which address when (enrich.assignments.TABLE)."""
        sightings = engine.read_parquet(self._connection, self._cache_folder / "sightings.parquet")
        events = interface_events.read_events(self.api_events) if self.has("api_events") else []
        tables = (self.interfaces, self.table("instances"), self.table("elastic_ips"))
        rows = assignments.build_assignments(*tables, events, sightings, self.address_zones)
        return engine.register(self._connection, rows)

    @cached_property
    def addresses(self) -> ibis.Table:
        """The address inventory (enrich.inventory.TABLE, enrich.address_context.TABLE).

        One row for each address and assignment.
        """
        return self._compute_addresses()

    def _compute_addresses(self) -> ibis.Table:
        rows = inventory.build_inventory(
            self.connection_summaries, self.address_assignments, self.indicator_matches
        )
        rows = address_context.add_context(
            rows.to_pyarrow().cast(inventory.TABLE.arrow),
            ranges=self.table("geography"),
            clouds=self.table("cloud_ranges"),
            dns=self.dns,
            flows=self.flows if self.fields & address_context.AWS_SERVICE_FIELDS else None,
            when=self.span[1],
        )
        return engine.register(self._connection, rows)

    @cached_property
    def fields(self) -> set[str]:
        """The flow log fields that any evidence file has."""
        return {name for entry in self.log.evidence for name in entry["fields"]}

    @cached_property
    def span(self) -> tuple[pd.Timestamp | None, pd.Timestamp | None]:
        """First start and last end of the flow records (UTC), or two Nones."""
        flows = self.flows
        ends = flows.aggregate(first=flows["start"].min(), last=flows["end"].max()).to_pandas()
        first, last = ends["first"].iloc[0], ends["last"].iloc[0]
        return (None, None) if pd.isna(first) else (first, last)

    def stream(self, table: ibis.Table) -> pa.RecordBatchReader:
        """Return the rows of an expression over the case's tables, batch by batch."""
        return engine.stream_batches(self._connection, table)

    def materialized(self, table: ibis.Table) -> AbstractContextManager[ibis.Table]:
        """Compute an expression over the case's tables once, for the length of a ``with``."""
        return engine.materialized(self._connection, table)

    def register(self, rows: pa.Table) -> ibis.Table:
        """Return a small Arrow table as a table that expressions over the case's tables can use."""
        return engine.register(self._connection, rows)

    @cached_property
    def _tables(self) -> dict[str, ibis.Table]:
        return {}

    def _paths(self, name: str) -> list[Path]:
        """The Parquet files of a table; a cached one is computed first where it is missing."""
        if name in _CACHED:
            return cache.table_files(self._cache_folder, name)
        if name not in registry.tables():
            tables = ", ".join(sorted([*registry.tables(), *_CACHED]))
            raise InputError(f"{name!r} is not a table: choose one of {tables}")
        parts = [part["file"] for part in self.log.parts if part["table"] == name]
        paths = [self.path / _FOLDER / part for part in parts]
        if missing := [path for path in paths if not path.is_file()]:
            raise CaseError(
                f"{format_count(len(missing), 'part')} of the {name} table missing or no regular"
                f" file, among them {missing[0].name}: load the same evidence again, which"
                " rebuilds them"
            )
        return paths

    def _match(self, listed: ibis.Table, *, internal: bool = False) -> ibis.Table:
        rows = indicators.match_indicators(
            self.connection_summaries, listed, self.dns, self.connections, internal=internal
        )
        return engine.register(self._connection, rows)

    def _sql_tables(self) -> dict[str, Callable[[], ParquetTable | pa.Table]]:
        """Every table by name, as ``query.run_sql`` takes them."""

        def parquet(name: str) -> ParquetTable:
            paths = self._paths(name)
            return ParquetTable(paths, partial(_read_table, name=name, paths=paths))

        def computed(name: str) -> pa.Table:
            return getattr(self, name).to_pyarrow()

        tables: dict[str, Callable[[], ParquetTable | pa.Table]] = {
            name: partial(parquet, name) for name in [*registry.tables(), *_CACHED]
        }
        return tables | {name: partial(computed, name) for name in _COMPUTED}

    @cached_property
    def _cache_folder(self) -> Path:
        try:
            return cache.ensure_tables(self.path, self.log, self.progress)
        except OSError:  # a read-only disk: computed for this object alone
            folder = Path(tempfile.mkdtemp(prefix="flowbench-"))
            weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
            return cache.build_elsewhere(self.path, self.log, self.progress, folder)

    def _forget_computed(self) -> None:
        """Drop what was computed from the tables as they were before a load."""
        for name, value in vars(CaseTables).items():
            if isinstance(value, cached_property):
                self.__dict__.pop(name, None)


def _read_table(
    connection: Backend, name: str, paths: list[Path], *, keep_earlier: bool = False
) -> ibis.Table:
    if name in _CACHED:
        return engine.read_parquet(connection, paths)
    rows = engine.scan(connection, registry.tables()[name], paths)
    return rows if keep_earlier or name not in _LATEST else engine.latest_rows(rows, *_LATEST[name])
