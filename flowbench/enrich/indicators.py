"""Which indicators cover which address, when, and which of them say nothing here.

Every indicator is a span of addresses, so all of them, of whatever length, are found in one way:
the addresses seen are sorted once, and two binary searches give each span those that lie in it.
Overlapping networks are all kept. A domain matches the addresses that a look-up of it, or of a name
below it, was answered with, for as long as a host may use such an answer (names.KEPT: the Resolver
logs no lifetimes). Allow lists match like the others, with the kind ALLOW.
"""

from __future__ import annotations

import ipaddress
import socket
from functools import partial
from itertools import compress

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from ibis import _

from flowbench.enrich.dns_names import BLUR, KEPT
from flowbench.loaders.intel.lists import ALLOW
from flowbench.schema import TYPES, Table

MATCHES = Table.of(
    "matches",
    ("address", "string", "the address that was seen"),
    ("indicator", "string", "the indicator that covers it: address, network or domain"),
    ("type", "string", "address, network or domain"),
    ("kind", "string", "tor, mining, c2, scanner, …; allow: a list calls it well known"),
    ("feed", "string", "the list it stands in"),
    ("confidence", "int32", "0 to 100 as the list gives it; null where it gives none"),
    ("valid_from", "time", "from when it held; null: not said"),
    ("valid_until", "time", "until when it held; null: not said"),
    ("in_period", "bool", "some connection with the address lies in that time; null: no times"),
    ("resolved_from", "time", "domain: when the address was its answer first; null for others"),
    ("resolved_until", "time", "domain: until when a host may have used that answer"),
    ("port", "int32", "the port that the list names; null: any"),
    ("description", "string", "what the list says of it; feed text, to be escaped"),
    ("evidence_id", "string", "evidence id of the list"),
    ("line", "int64", "its line there"),
)

IGNORED = Table.of(
    "ignored_indicators",
    ("indicator", "string", "an indicator that covers addresses which no list can speak of"),
    ("kind", "string", "what the list calls it"),
    ("feed", "string", "the list it stands in"),
    ("addresses", "int64", "how many such addresses were seen; none of them was flagged for it"),
    ("reason", "string", "why not"),
    ("evidence_id", "string", "evidence id of the list"),
    ("line", "int64", "its line there"),
)

REASON = (
    "private, reserved or multicast: block lists hold these ranges whole, and every network"
    " has its own such addresses"
)

# IANA's special-purpose registries, without the documentation and benchmarking networks, which
# training cases use for the internet (192.0.2.0/24 and the like), and NAT64, which leads there.
_NOBODYS = (
    *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
    *("192.0.0.0/24", "192.168.0.0/16", "224.0.0.0/4", "240.0.0.0/4"),
    *("::/127", "fc00::/7", "fe80::/10", "ff00::/8"),
)

_V4, _V6 = 4, 16  # bytes
_FAMILIES = ((socket.AF_INET, _V4), (socket.AF_INET6, _V6))
_HULL = ("first_seen", "last_seen")
_AT_ONCE = 100_000  # addresses that are Python's at a time: what bounds the memory


def match(
    pairs: ibis.Table,
    indicators: ibis.Table,
    dns: ibis.Table,
    connections: ibis.Table | None = None,
    *,
    internal: bool = False,
) -> pa.Table:
    """Every indicator that covers an address seen in ``pairs`` (MATCHES), most specific first.

    Addresses that are private, reserved or multicast match no list (see ``ignored``). With
    ``internal`` they do, but no network that holds a registry's whole range of such addresses: it
    speaks of every network there is, and so of none. What holds
    in another time than the contacts is there with ``in_period`` false: a connection is in the
    period when it ends after its start and begins before its end; for a domain it must also have
    begun while an answer held. ``connections`` decides where ``pairs`` sum up too much to tell.
    """
    listed = _listed(indicators)
    if not listed.num_rows:
        return MATCHES.rows([])
    seen, nobodys = _seen(pairs)
    if not internal:
        seen = seen.filter(pa.array(~nobodys))
    if not seen.num_rows:
        return MATCHES.rows([])
    addresses, rows, lengths = _covered(seen["address"], listed)
    if internal:
        says = ~(nobodys[addresses] & np.isin(rows, _wide(listed)))
        addresses, rows, lengths = addresses[says], rows[says], lengths[says]
    found = pa.table({"at": addresses, "row": rows, "length": lengths})
    found = found.append_column("resolved_from", pa.nulls(len(rows), TYPES["time"]))
    found = found.append_column("resolved_until", pa.nulls(len(rows), TYPES["time"]))
    if (named := _answered(seen["address"], listed, dns)) is not None:
        found = pa.concat_tables([found, named])
    order = np.lexsort(
        (
            _int(found["resolved_from"], 0),
            found["row"].to_numpy(),
            -found["length"].to_numpy(),
            found["at"].to_numpy(),
        )
    )
    found = found.take(order)
    told = listed.take(found["row"])
    columns = {name: told[name] for name in MATCHES.columns if name in told.column_names}
    columns |= {name: found[name] for name in ("resolved_from", "resolved_until")}
    columns["address"] = seen["address"].take(found["at"])
    hulls = {name: _int(seen[name].take(found["at"]), -1) for name in _HULL}
    columns["in_period"] = _in_period(columns, hulls, pairs if connections is None else connections)
    return pa.table(columns).select(MATCHES.columns).cast(MATCHES.arrow)


def ignored(pairs: ibis.Table, indicators: ibis.Table) -> pa.Table:
    """The indicators that would have named private or reserved addresses seen in ``pairs``.

    IGNORED, by feed, source, line, indicator. Allow lists are not among them: they name no one.
    """
    seen, nobodys = _seen(pairs)
    seen = seen.filter(pa.array(nobodys))["address"]
    listed = _listed(indicators.filter(_.kind != ALLOW))
    counts = np.zeros(listed.num_rows, dtype=np.int64)
    for family, size in _FAMILIES:
        _at, packed = _packed(seen, family)
        mine, first, last, _lengths = _spans(listed, family, size)
        start, end = _within(np.sort(packed), first, last)
        counts[mine] = end - start
    hit = np.flatnonzero(counts)
    rows = listed.take(hit).append_column("addresses", pa.array(counts[hit]))
    rows = rows.append_column("reason", pa.array([REASON] * len(hit), pa.string()))
    return rows.select(IGNORED.columns).cast(IGNORED.arrow)


def _seen(pairs: ibis.Table) -> tuple[pa.Table, np.ndarray]:
    """Each address with first_seen and last_seen, in order; and which are not the internet's."""
    ends = [pairs.select(*_HULL, address=pairs[end]) for end in ("initiator", "responder")]
    both = ends[0].union(ends[1])
    both = both.filter(both.address.notnull()).group_by("address")
    seen = both.aggregate(first_seen=_.first_seen.min(), last_seen=_.last_seen.max())
    table = seen.order_by("address").to_pyarrow()
    nobodys = np.zeros(table.num_rows, dtype=bool)
    ranges = pa.table({"indicator": list(_NOBODYS), "type": ["network"] * len(_NOBODYS)})
    for family, size in _FAMILIES:
        at, packed = _packed(table["address"], family)
        order = np.argsort(packed)
        _rows, first, last, _lengths = _spans(ranges, family, size)
        for start, end in zip(*_within(packed[order], first, last), strict=True):
            nobodys[at[order[start:end]]] = True
    return table, nobodys


def _wide(listed: pa.Table) -> np.ndarray:
    """The rows whose network holds one of the special-purpose ranges whole."""
    ranges = [ipaddress.ip_network(text) for text in _NOBODYS]
    firsts = pa.chunked_array([[str(network.network_address) for network in ranges]])
    at, rows, lengths = _covered(firsts, listed)
    own = np.array([network.prefixlen for network in ranges])
    return np.unique(rows[lengths <= own[at]])


def _listed(indicators: ibis.Table) -> pa.Table:
    """The lists in the order in which their rows are told where nothing else decides."""
    names = [name for name in MATCHES.columns if name in indicators.columns]
    order = [
        "feed",
        "evidence_id",
        "line",
        "indicator",
        "kind",
        "port",
        "valid_from",
        "valid_until",
    ]
    return indicators.select(names).order_by([*order, "confidence", "description"]).to_pyarrow()


def _covered(addresses: pa.ChunkedArray, listed: pa.Table) -> tuple[np.ndarray, ...]:
    """(place of the address, row of the list, prefix length) for every span with an address."""
    found: list[list[np.ndarray]] = [[], [], []]
    for family, size in _FAMILIES:
        at, packed = _packed(addresses, family)
        order = np.argsort(packed, kind="stable")
        rows, first, last, lengths = _spans(listed, family, size)
        start, end = _within(packed[order], first, last)
        hits = end - start
        rows, start, lengths = rows[hits > 0], start[hits > 0], lengths[hits > 0]
        hits = hits[hits > 0]
        within = np.arange(hits.sum()) - np.repeat(hits.cumsum() - hits, hits)
        found[0].append(at[order[np.repeat(start, hits) + within]])
        found[1].append(np.repeat(rows, hits))
        found[2].append(np.repeat(lengths, hits))
    return tuple(np.concatenate(part).astype(np.int64) for part in found)


def _within(addresses: np.ndarray, first: np.ndarray, last: np.ndarray) -> tuple[np.ndarray, ...]:
    """Which of the sorted addresses lie in each span: from, and up to but not with."""
    return np.searchsorted(addresses, first, "left"), np.searchsorted(addresses, last, "right")


def _packed(texts: pa.ChunkedArray, family: int) -> tuple[np.ndarray, np.ndarray]:
    """The addresses of one family as values that sort as they do, with their places."""
    v6 = pc.match_substring(texts, ":").to_numpy(zero_copy_only=False)
    at = np.flatnonzero(v6 if family == socket.AF_INET6 else ~v6)
    mine = texts.take(pa.array(at))
    pack, parts = partial(socket.inet_pton, family), []
    sound = np.ones(len(at), dtype=bool)
    for place in range(0, len(mine), _AT_ONCE):
        some = mine.slice(place, _AT_ONCE).to_pylist()
        try:
            parts.append(b"".join(map(pack, some)))
        except (OSError, ValueError):  # a log with something else than an address in its column
            good = [_is_address(text, family) for text in some]
            sound[place : place + len(some)] = good
            parts.append(b"".join(map(pack, compress(some, good))))
    size = _V6 if family == socket.AF_INET6 else _V4
    return at[sound], _values(np.frombuffer(b"".join(parts), dtype=np.uint8), size)


def _is_address(text: str, family: int) -> bool:
    try:
        socket.inet_pton(family, text)
    except (OSError, ValueError):
        return False
    return True


def _values(packed: np.ndarray, size: int) -> np.ndarray:
    raw = np.ascontiguousarray(packed).reshape(-1)
    if size == _V4:
        return raw.view(">u4").astype(np.uint32)
    return raw.view("S16")  # numpy leaves trailing zeros out of comparisons, which sorts the same


def _spans(listed: pa.Table, family: int, size: int) -> tuple[np.ndarray, ...]:
    """The list's networks and addresses of one family: (row, first, last, prefix length)."""
    mine = pc.and_(
        pc.not_equal(listed["type"], "domain"),
        pc.equal(pc.match_substring(listed["indicator"], ":"), family == socket.AF_INET6),
    )
    rows = np.flatnonzero(mine.to_numpy(zero_copy_only=False))
    parts = pc.split_pattern(listed["indicator"].take(pa.array(rows)), "/").combine_chunks()
    bases = pa.chunked_array([pc.list_element(parts, 0)])
    bits = np.full(len(rows), size * 8, dtype=np.int64)
    networks = pc.greater(pc.list_value_length(parts), 1)
    if len(rows) and pc.any(networks).as_py():
        told = pc.list_element(parts.filter(networks), 1).cast(pa.int64())
        bits[np.flatnonzero(networks.to_numpy(zero_copy_only=False))] = told.to_numpy()
    at, first = _packed(bases, family)
    hosts = _HOSTS[size][bits[at]]
    last = first | _values(hosts, size) if size == _V4 else _values(_bytes(first) | hosts, size)
    return rows[at], first, last, bits[at]


def _bytes(values: np.ndarray) -> np.ndarray:
    return values.view(np.uint8).reshape(-1, _V6)


def _host_masks(size: int) -> np.ndarray:
    """For each prefix length the bits that tell the hosts of such a network apart."""
    masks = [((1 << (size * 8 - n)) - 1).to_bytes(size, "big") for n in range(size * 8 + 1)]
    return np.frombuffer(b"".join(masks), dtype=np.uint8).reshape(-1, size)


_HOSTS = {size: _host_masks(size) for _family, size in _FAMILIES}


def _answered(addresses: pa.ChunkedArray, listed: pa.Table, dns: ibis.Table) -> pa.Table | None:
    """Addresses that listed names, or names below them, resolved to, and while which answer held.

    One row for each unbroken time in which some answer held.
    """
    domains = np.flatnonzero(pc.equal(listed["type"], "domain").to_numpy(zero_copy_only=False))
    if not len(domains):
        return None
    asked = dns.select("query_time", "answers", called=dns.name).union(
        dns.select("query_time", "answers", called=dns.canonical_names.unnest())
    )
    asked = asked.filter(asked.called.notnull(), asked.answers.length() > 0)
    called = asked.select("called").distinct().to_pyarrow()["called"].to_pylist()
    names = pa.table(
        {
            "called": pa.array([name for name in called for _s in _suffixes(name)], pa.string()),
            "indicator": pa.array([s for name in called for s in _suffixes(name)], pa.string()),
        }
    )
    wanted = pa.table({"indicator": listed["indicator"].take(pa.array(domains)), "row": domains})
    hit = names.join(wanted, "indicator", join_type="inner").select(["called", "row"])
    if not hit.num_rows:
        return None
    held = asked.inner_join(ibis.memtable(hit), "called")
    held = held.select("row", "query_time", address=held.answers.unnest()).distinct()
    frame = held.to_pyarrow().to_pandas()
    frame["at"] = pd.Index(addresses.to_pandas()).get_indexer(frame["address"])
    frame = frame[frame["at"] >= 0].sort_values(["at", "row", "query_time"], ignore_index=True)
    kept = pd.Timedelta(seconds=KEPT)
    key = ["at", "row"]
    anew = frame.groupby(key)["query_time"].diff().isna() | (
        frame.groupby(key)["query_time"].diff() > kept
    )
    spans = frame.groupby([*key, anew.cumsum().rename("span")], as_index=False)["query_time"]
    spans = spans.agg(resolved_from="min", resolved_until="max")
    spans["resolved_until"] += kept
    return pa.table(
        {
            "at": pa.array(spans["at"], pa.int64()),
            "row": pa.array(spans["row"], pa.int64()),
            "length": pa.array(np.full(len(spans), -1)),
            "resolved_from": pa.array(spans["resolved_from"], TYPES["time"]),
            "resolved_until": pa.array(spans["resolved_until"], TYPES["time"]),
        }
    )


def _suffixes(name: str) -> list[str]:
    labels = name.split(".")
    return [".".join(labels[i:]) for i in range(len(labels))]


def _in_period(
    columns: dict[str, pa.ChunkedArray], hulls: dict[str, np.ndarray], contacts: ibis.Table
) -> pa.Array:
    """Whether some contact lies in each match's time; from all of them only where it is open."""
    first, last = hulls["first_seen"], hulls["last_seen"]
    since = _int(columns["valid_from"], np.iinfo(np.int64).min)
    until = _int(columns["valid_until"], np.iinfo(np.int64).max)
    named = columns["resolved_from"].is_valid().to_numpy(zero_copy_only=False)
    touches = (last >= since) & (first <= until)
    inside = (first >= since) & (last <= until) & ~named
    told, known = touches & inside, first >= 0
    open_ = np.flatnonzero(known & touches & ~inside)
    if len(open_):
        told[open_[_touched(columns, open_, contacts)]] = True
    return pa.array(told, mask=~known)


def _touched(
    columns: dict[str, pa.ChunkedArray], open_: np.ndarray, contacts: ibis.Table
) -> np.ndarray:
    """Which of these matches some contact lies in the time of."""
    names = ("address", "valid_from", "valid_until", "resolved_from", "resolved_until")
    asked = {name: columns[name].take(pa.array(open_)) for name in names}
    m = ibis.memtable(pa.table(asked | {"place": np.arange(len(open_))}))
    c = contacts.select("initiator", "responder", *_HULL)
    ends = [c.mutate(address=c[end]) for end in ("initiator", "responder")]
    j = ends[0].union(ends[1]).inner_join(m, "address")
    found = j.filter(in_period(j), answer_held(j)).select("place").distinct()
    return found.to_pyarrow()["place"].to_numpy()


def in_period(joined: ibis.Table) -> ibis.Value:
    """Whether a connection lies in the period of the match it is joined with; open ends do."""
    return (joined.valid_from.isnull() | (joined.last_seen >= joined.valid_from)) & (
        joined.valid_until.isnull() | (joined.first_seen <= joined.valid_until)
    )


def answer_held(joined: ibis.Table) -> ibis.Value:
    """Whether a connection began while the answer of its match held; no answer was needed: true.

    Its record may start up to a minute (names.BLUR) early.
    """
    return joined.resolved_from.isnull() | (
        (joined.first_seen + ibis.interval(seconds=BLUR) >= joined.resolved_from)
        & (joined.first_seen <= joined.resolved_until)
    )


def _int(times: pa.ChunkedArray, missing: int) -> np.ndarray:
    """Times as microseconds since 1970."""
    whole = times.cast(TYPES["time"]).cast(pa.int64())
    return whole.fill_null(pa.scalar(missing, pa.int64())).to_numpy()
