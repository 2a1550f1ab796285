"""The largest sums of traffic by columns: hosts, peers, ports, subnets, tags, days, hours."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import ibis
import pandas as pd
from ibis import _

from flowbench.errors import InputError
from flowbench.investigate.traffic import (
    DESCRIPTION,
    HOST_TRAFFIC,
    TRAFFIC,
    describe_end,
    read_host_traffic,
    select_connections,
)
from flowbench.schema import to_frame
from flowbench.text import escape_controls, list_some

if TYPE_CHECKING:
    from flowbench.case import Case

_END = re.compile(r"(initiator|responder|host|peer)(?:_tag:(.+)|_(.+))?", re.DOTALL)
_HOSTS, _ENDS = ("host", "peer"), ("initiator", "responder")
_MAPS = tuple(f"{end}_tags" for end in (*_HOSTS, *_ENDS))  # no values to group by
_COUNTS = ("connections", "rejected", "answered")
_DISTINCT = {  # measures that count different values of a column
    "initiators": "initiator",
    "responders": "responder",
    "peers": "peer",
    "ports": "service_port",
}


def rank_traffic(
    case: Case,
    by: Sequence[str],
    measure: str = "bytes",
    where: str = "",
    *,
    most: int = 10,
    nat_hops: bool = False,
) -> pd.DataFrame:
    """Sum connections by some columns, and return the largest sums; see ``Case.top``.

    Raises:
        InputError: No column or measure is called so, or ``most`` is not positive.
    """
    if most < 1:
        raise InputError(f"most={most}: give a number of rows of at least 1")
    by = tuple(dict.fromkeys(by))
    has_hosts = _takes_hosts(by)
    ends = _HOSTS if has_hosts else _ENDS
    read = read_host_traffic if has_hosts else select_connections
    rows = read(case, where, nat_hops=nat_hops)
    for end in ends:
        rows = _describe(case, rows, end, by)
    for name in by:
        if name not in rows.columns or name in _MAPS:
            shown = escape_controls(name)
            raise InputError(f"traffic has no column '{shown}'{_nearest(name, _columns(ends))}")
    ways = ["bytes_sent", "bytes_received"] if has_hosts else ["bytes_out", "bytes_in"]
    sums = _sums(rows, ways)
    if measure not in sums:
        shown = escape_controls(measure)
        raise InputError(f"no measure is called '{shown}'{_nearest(measure, list(sums))}")
    chosen = dict.fromkeys([measure, *_COUNTS, "bytes", *ways, "first_seen", "last_seen"])
    grouped = rows.group_by(by).aggregate(**{name: sums[name] for name in chosen})
    return to_frame(grouped.order_by(ibis.desc(measure), *by).limit(most).to_pyarrow())


def _takes_hosts(by: Sequence[str]) -> bool:
    """Whether columns are of the view of hosts. Raises InputError where they are of both views."""
    if not by:
        raise InputError("no column is given: write case.top('host', 'day')")
    parts = {name: name.partition("_")[0] for name in by}
    of_hosts = [name for name, part in parts.items() if part in _HOSTS]
    of_ends = [name for name, part in parts.items() if part in _ENDS]
    if of_hosts and of_ends:
        shown = " and ".join(escape_controls(names[0]) for names in (of_hosts, of_ends))
        raise InputError(
            f"{shown} are columns of two views: take host and peer, or initiator and responder"
        )
    return bool(of_hosts)


def _columns(ends: Sequence[str]) -> list[str]:
    """The columns that a view has, apart from values of tags."""
    own = (HOST_TRAFFIC if ends is _HOSTS else TRAFFIC).columns
    described = [f"{end}_{name}" for end in ends for name in DESCRIPTION]
    return [name for name in dict.fromkeys([*own, *described, *_HOSTS]) if name not in _MAPS]


def _describe(case: Case, rows: ibis.Table, end: str, by: Sequence[str]) -> ibis.Table:
    """Describe an end if a column needs it, with its tags that are columns."""
    parts = [found for name in by if (found := _END.fullmatch(name)) and found[1] == end]
    tags = [found[2] for found in parts if found[2]]
    if tags or any(found[3] in DESCRIPTION for found in parts):
        return describe_end(case, rows, end, dict.fromkeys(tags))
    return rows


def _sums(rows: ibis.Table, ways: Sequence[str]) -> dict[str, ibis.Value]:
    distinct = {n: _[column].nunique() for n, column in _DISTINCT.items() if column in rows.columns}
    return {
        "connections": _.count(),
        "rejected": _.rejected.sum(),
        "answered": _.answered.sum(),
        "bytes": (_[ways[0]].fill_null(0) + _[ways[1]].fill_null(0)).sum().cast("int64"),
        **{name: _[name].sum().cast("int64") for name in ways},
        "duration": _.duration.sum().cast("int64"),
        "first_seen": _.first_seen.min(),
        "last_seen": _.last_seen.max(),
        **distinct,
    }


def _nearest(name: str, known: Sequence[str]) -> str:
    """Name the columns that are spelled nearly like one, or have it as a part."""
    parts = [column for column in known if name and name.casefold() in column]
    near = list(dict.fromkeys([*difflib.get_close_matches(name.casefold(), known), *parts]))
    return f"; the nearest: {', '.join(near[:5])}" if near else f"; known: {list_some(known, 40)}"
