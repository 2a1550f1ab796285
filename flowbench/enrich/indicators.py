"""Which indicators cover which address and when, and which cover special-purpose addresses.

An address is covered by an indicator that is the same address, a network that contains it, or a
domain whose look-up (or that of a name below it) was answered with it, for as long as a host may
use such an answer (dns_names.ANSWER_LIFETIME: the Resolver logs no TTL). All indicators that cover
an address are kept. Allow lists match like the others, with the kind ALLOW.
"""

from __future__ import annotations

import ipaddress

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from ibis import _

from flowbench.enrich.dns_names import START_TOLERANCE
from flowbench.enrich.intervals import (
    NO_ADDRESS,
    NetworkIndex,
    address_keys,
    find_all,
    is_ipv6_text,
    network_bounds,
)
from flowbench.enrich.ownership import SPECIAL_PURPOSE
from flowbench.enrich.resolved_domains import find_resolved
from flowbench.loaders.intel.indicators import ALLOW
from flowbench.schema import TYPES, Table

MATCHES = Table.of(
    "indicator_matches",
    ("address", "string", "the address that was seen"),
    ("indicator", "string", "the indicator that covers it: address, network or domain"),
    ("type", "string", "address, network or domain"),
    ("kind", "string", "tor, mining, c2, scanner, …; allow: an allow list has it"),
    ("feed", "string", "the list that has the indicator"),
    ("confidence", "int32", "0 to 100 as the list gives it; null where it gives none"),
    ("valid_from", "time", "start of the indicator's validity; null: open"),
    ("valid_until", "time", "end of the indicator's validity; null: open"),
    ("in_period", "bool", "a connection with the address lies in that period; null: no times"),
    ("resolved_from", "time", "domain: when a look-up was first answered with the address"),
    ("resolved_until", "time", "domain: until when a host may have used that answer"),
    ("port", "int32", "the port that the list names; null: any"),
    ("description", "string", "the list's description; feed text, to be escaped"),
    ("evidence_id", "string", "evidence id of the list"),
    ("line", "int64", "line in the list"),
)

SPECIAL_PURPOSE_INDICATORS = Table.of(
    "special_purpose_indicators",
    ("indicator", "string", "an indicator that covers special-purpose addresses seen"),
    ("kind", "string", "its kind in the list"),
    ("feed", "string", "the list that has it"),
    ("addresses", "int64", "number of such addresses seen; none is reported as a match"),
    ("reason", "string", "why these matches are not reported"),
    ("evidence_id", "string", "evidence id of the list"),
    ("line", "int64", "line in the list"),
)

REASON = (
    "private, reserved or multicast: block lists hold these ranges whole, and every network"
    " has its own such addresses"
)

_SPECIAL = [ipaddress.ip_network(text) for text in SPECIAL_PURPOSE]
_SEEN = ("first_seen", "last_seen")
_LIST_ORDER = (
    "feed",
    "evidence_id",
    "line",
    "indicator",
    "kind",
    "port",
    "valid_from",
    "valid_until",
    "confidence",
    "description",
)


def match_indicators(
    summaries: ibis.Table,
    indicators: ibis.Table,
    dns: ibis.Table,
    connections: ibis.Table | None = None,
    *,
    internal: bool = False,
) -> pa.Table:
    """Find every indicator that covers an address seen, the most specific first.

    Args:
        summaries: Connection summaries (connections.SUMMARIES), whose addresses are matched.
        indicators: Indicators (loaders.intel.indicators.TABLE).
        dns: Resolver query log records (resolver.TABLE).
        connections: Connections (connections.TABLE), for ``in_period`` where a summary spans more
            than an indicator's period; without them the summaries are used.
        internal: Match special-purpose addresses too (private, reserved, multicast), except with
            networks that contain a whole special-purpose range: these hold for every network.

    Returns:
        MATCHES, ordered by address, prefix length, list and time. A match outside of the period of
        the contacts is kept with ``in_period`` false. A connection is in the period when it ends
        after its start and begins before its end; for a domain it must also have begun while an
        answer was valid.
    """
    listed = _in_list_order(indicators)
    if not listed.num_rows:
        return MATCHES.rows([])
    seen, special = _seen_addresses(summaries)
    if not internal:
        seen = seen.filter(pa.array(~special))
    if not seen.num_rows:
        return MATCHES.rows([])
    addresses, rows, lengths = _covered(seen["address"], listed)
    if internal:
        keep = ~(special[addresses] & np.isin(rows, _special_purpose_networks(listed)))
        addresses, rows, lengths = addresses[keep], rows[keep], lengths[keep]
    found = pa.table({"at": addresses, "row": rows, "length": lengths})
    for name in ("resolved_from", "resolved_until"):
        found = found.append_column(name, pa.nulls(len(rows), TYPES["time"]))
    if (resolved := find_resolved(seen["address"], listed, dns)) is not None:
        found = pa.concat_tables([found, resolved])
    order = np.lexsort(
        (
            _microseconds(found["resolved_from"], 0),
            found["row"].to_numpy(),
            -found["length"].to_numpy(),
            found["at"].to_numpy(),
        )
    )
    found = found.take(order)
    matched = listed.take(found["row"])
    columns = {name: matched[name] for name in MATCHES.columns if name in matched.column_names}
    columns |= {name: found[name] for name in ("resolved_from", "resolved_until")}
    columns["address"] = seen["address"].take(found["at"])
    contact_times = {name: _microseconds(seen[name].take(found["at"]), -1) for name in _SEEN}
    contacts = summaries if connections is None else connections
    columns["in_period"] = _has_contact_in_period(columns, contact_times, contacts)
    return pa.table(columns).select(MATCHES.columns).cast(MATCHES.arrow)


def find_special_purpose_indicators(summaries: ibis.Table, indicators: ibis.Table) -> pa.Table:
    """Find the indicators that would have matched special-purpose addresses seen.

    Returns SPECIAL_PURPOSE_INDICATORS, by feed, list, line and indicator. Allow lists
    are left out: they accuse nobody.
    """
    seen, special = _seen_addresses(summaries)
    listed = _in_list_order(indicators.filter(_.kind != ALLOW))
    _at, rows, _lengths = _covered(seen.filter(pa.array(special))["address"], listed)
    counts = np.bincount(rows, minlength=listed.num_rows)
    hit = np.flatnonzero(counts)
    found = listed.take(hit).append_column("addresses", pa.array(counts[hit]))
    found = found.append_column("reason", pa.array([REASON] * len(hit), pa.string()))
    columns = SPECIAL_PURPOSE_INDICATORS.columns
    return found.select(columns).cast(SPECIAL_PURPOSE_INDICATORS.arrow)


def is_in_period(joined: ibis.Table) -> ibis.Value:
    """Whether a connection overlaps the validity period of its match.

    A missing start or end is unbounded.
    """
    return (joined.valid_from.isnull() | (joined.last_seen >= joined.valid_from)) & (
        joined.valid_until.isnull() | (joined.first_seen <= joined.valid_until)
    )


def is_answer_valid(joined: ibis.Table) -> ibis.Value:
    """Whether a connection began while the answer of its match was valid; true without a domain.

    Its record may start up to START_TOLERANCE seconds early.
    """
    return joined.resolved_from.isnull() | (
        (joined.first_seen + ibis.interval(seconds=START_TOLERANCE) >= joined.resolved_from)
        & (joined.first_seen <= joined.resolved_until)
    )


def _seen_addresses(summaries: ibis.Table) -> tuple[pa.Table, np.ndarray]:
    """Each address with first_seen and last_seen, in order; and which are special-purpose."""
    ends = [summaries.select(*_SEEN, address=summaries[end]) for end in ("initiator", "responder")]
    both = ends[0].union(ends[1])
    both = both.filter(both.address.notnull()).group_by("address")
    seen = both.aggregate(first_seen=_.first_seen.min(), last_seen=_.last_seen.max())
    table = seen.order_by("address").to_pyarrow()
    index = NetworkIndex([str(n[0]) for n in _SPECIAL], [str(n[-1]) for n in _SPECIAL])
    at = index.find(address_keys(table["address"]))
    has_ipv6 = np.array([network.version == 6 for network in _SPECIAL])
    return table, (at >= 0) & (has_ipv6[at] == is_ipv6_text(table["address"]))


def _special_purpose_networks(listed: pa.Table) -> np.ndarray:
    """The rows whose network contains a special-purpose range whole."""
    starts = pa.chunked_array([[str(network.network_address) for network in _SPECIAL]])
    at, rows, lengths = _covered(starts, listed)
    own_lengths = np.array([network.prefixlen for network in _SPECIAL])
    return np.unique(rows[lengths <= own_lengths[at]])


def _in_list_order(indicators: ibis.Table) -> pa.Table:
    """The indicators in the order in which they are returned where nothing else decides."""
    names = [name for name in MATCHES.columns if name in indicators.columns]
    return indicators.select(names).order_by(list(_LIST_ORDER)).to_pyarrow()


def _covered(
    addresses: pa.ChunkedArray, listed: pa.Table
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Every (position of address, row of the list, prefix length) of an address in a network."""
    keys, is_ipv6 = address_keys(addresses), is_ipv6_text(addresses)
    is_address = keys != NO_ADDRESS
    rows = np.flatnonzero(np.asarray(pc.not_equal(listed["type"], "domain"), dtype=bool))
    networks = listed["indicator"].take(pa.array(rows))
    first, last, lengths = network_bounds(networks)
    is_ipv6_network = is_ipv6_text(networks)
    found = []
    for family in (False, True):  # apart: an IPv6 network such as ::/1 has no IPv4 addresses
        at_address = np.flatnonzero(is_address & (is_ipv6 == family))
        at_network = np.flatnonzero((is_ipv6_network == family) & (first != NO_ADDRESS))
        at, which = find_all(keys[at_address], first[at_network], last[at_network])
        found.append((at_address[at], rows[at_network[which]], lengths[at_network[which]]))
    at, row, length = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return at, row, length


def _has_contact_in_period(
    columns: dict[str, pa.ChunkedArray], contact_times: dict[str, np.ndarray], contacts: ibis.Table
) -> pa.Array:
    """Whether a contact lies in each match's period; contacts are read only where it is unclear."""
    first, last = contact_times["first_seen"], contact_times["last_seen"]
    start = _microseconds(columns["valid_from"], np.iinfo(np.int64).min)
    end = _microseconds(columns["valid_until"], np.iinfo(np.int64).max)
    is_domain = columns["resolved_from"].is_valid().to_numpy(zero_copy_only=False)
    overlaps = (last >= start) & (first <= end)
    contained = (first >= start) & (last <= end) & ~is_domain
    has_times, result = first >= 0, overlaps & contained
    unclear = np.flatnonzero(has_times & overlaps & ~contained)
    if len(unclear):
        result[unclear[_with_contact(columns, unclear, contacts)]] = True
    return pa.array(result, mask=~has_times)


def _with_contact(
    columns: dict[str, pa.ChunkedArray], unclear: np.ndarray, contacts: ibis.Table
) -> np.ndarray:
    """Which of the unclear matches have a contact in their period, by position."""
    names = ("address", "valid_from", "valid_until", "resolved_from", "resolved_until")
    matches = {name: columns[name].take(pa.array(unclear)) for name in names}
    m = ibis.memtable(pa.table(matches | {"position": np.arange(len(unclear))}))
    c = contacts.select("initiator", "responder", *_SEEN)
    ends = [c.mutate(address=c[end]) for end in ("initiator", "responder")]
    j = ends[0].union(ends[1]).inner_join(m, "address")
    found = j.filter(is_in_period(j), is_answer_valid(j)).select("position").distinct()
    return found.to_pyarrow()["position"].to_numpy()


def _microseconds(times: pa.ChunkedArray, missing: int) -> np.ndarray:
    """Times as microseconds since 1970."""
    whole = times.cast(TYPES["time"]).cast(pa.int64())
    return whole.fill_null(pa.scalar(missing, pa.int64())).to_numpy()
