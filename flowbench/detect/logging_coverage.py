"""Which interfaces the flow logs cover: those with gaps, without records, or that fell silent."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

import ibis
import pandas as pd
from ibis import _

from flowbench.case import coverage
from flowbench.schema import to_frame
from flowbench.text import list_some

if TYPE_CHECKING:
    from flowbench.case import Case

MARGIN = pd.Timedelta(minutes=10)  # by which times of logs of different kinds may differ

_HOUR = pd.Timedelta(hours=1)


class LoggingCoverage(NamedTuple):
    """What the records cover, and which addresses the interfaces have."""

    interfaces: pd.DataFrame  # coverage.coverage_by_interface, with `continuous`
    assignments: pd.DataFrame  # address assignments of interfaces in use
    begin: pd.Timestamp
    end: pd.Timestamp

    @property
    def addresses(self) -> dict[str, str]:
        """The first address of each interface."""
        known = self.assignments.dropna(subset=["interface_id"])
        return known.groupby("interface_id")["address"].min().to_dict()

    def names(self, interfaces: Iterable[str]) -> str:
        """Return 'eni-a (10.0.0.5), eni-b'."""
        addresses = self.addresses
        return list_some(
            f"{name} ({addresses[name]})" if name in addresses else name for name in interfaces
        )


def read_coverage(case: Case) -> LoggingCoverage | None:
    """Return what a case's records cover; None for a case without records."""
    begin, end = case.span
    if begin is None or end is None:
        return None
    interfaces = to_frame(coverage.coverage_by_interface(case.flows).to_pyarrow())
    gaps = [() if gaps is None else tuple(gaps) for gaps in interfaces["gaps"]]
    continuous = [
        coverage.is_continuous(row.slots, row.adjacent, len(of_row))
        for row, of_row in zip(interfaces.itertuples(), gaps, strict=True)
    ]
    interfaces = interfaces.assign(
        gaps=pd.Series(gaps, interfaces.index, dtype=object),
        continuous=pd.Series(continuous, interfaces.index, dtype=bool),
    )
    return LoggingCoverage(interfaces, _read_assignments(case), begin, end)


def find_unlogged_interfaces(covered: LoggingCoverage) -> pd.DataFrame:
    """Return the assignments of interfaces that existed but have no record, one row each."""
    logged, known = covered.interfaces["interface_id"], covered.assignments
    if logged.empty:  # logs without interfaces, a transit gateway's
        return known.iloc[:0]
    rows = known[known["interface_id"].notna() & ~known["interface_id"].isin(logged)]
    rows = rows[rows["known_from"] != "logs"]
    is_later = rows["valid_from"] > covered.end - MARGIN
    is_earlier = rows["valid_until"] < covered.begin
    return rows[~is_later & ~is_earlier].drop_duplicates("interface_id")


def find_silent_interfaces(case: Case, covered: LoggingCoverage) -> pd.DataFrame:
    """Return the interfaces without further records although their instance is still active.

    Columns: those of the interface's coverage, address, instance_id, and ``activity`` (what the
    instance did) ``at`` what time, more than ten minutes after the interface's ``last`` record.
    """
    rows = covered.interfaces
    rows = rows[rows["continuous"] & (rows["last"] < covered.end - _HOUR)]
    owners = covered.assignments.dropna(subset=["interface_id", "instance_id"])
    owners = owners.drop_duplicates("interface_id")[["interface_id", "address", "instance_id"]]
    rows = rows.merge(owners, "inner", "interface_id")
    rows = rows.merge(_last_activity(case, list(rows["instance_id"])), "inner", "instance_id")
    return rows[rows["at"] > rows["last"] + MARGIN]


def _read_assignments(case: Case) -> pd.DataFrame:
    """Return the address assignments, without those of interfaces that are attached to nothing."""
    a, i = case.address_assignments, case.interfaces
    idle = i.filter(i.status.isin(["available", "deleted"])).select("interface_id").distinct()
    columns = ["interface_id", "address", "instance_id", "service", "vpc_id", "valid_from"]
    columns += ["valid_until", "known_from"]
    order = ["interface_id", "address", _.valid_from.asc(nulls_first=True), "instance_id"]
    a = a.anti_join(idle, "interface_id").select(columns)
    return to_frame(a.order_by(order).to_pyarrow())


def _last_activity(case: Case, instances: list[str]) -> pd.DataFrame:
    """Return the last API event or DNS query of each instance: instance_id, at, activity."""
    e, d = case.api_events, case.dns
    session = e.principal_name.re_extract(r"/(m?i-[0-9a-zA-Z]+)$", 1)
    calls = e.mutate(instance_id=session, at=e.event_time, activity=ibis.literal("called AWS"))
    queries = d.mutate(at=d.query_time, activity=ibis.literal("sent a DNS query"))
    columns = ["instance_id", "at", "activity"]
    both = calls.select(columns).union(queries.select(columns))
    both = both.filter(both.instance_id.isin(instances), both["at"].notnull())
    rows = to_frame(
        both.group_by("instance_id", "activity").aggregate(at=_["at"].max()).to_pyarrow()
    )
    rows = rows.sort_values(["instance_id", "at", "activity"])
    return rows.drop_duplicates("instance_id", keep="last")
