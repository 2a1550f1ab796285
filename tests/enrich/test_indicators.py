"""Which indicator covers which address and when: the same as a plain loop finds."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime, timedelta
from typing import Any

import ibis
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowbench import connections
from flowbench.enrich import indicators
from flowbench.loaders.aws import resolver
from flowbench.loaders.intel import lists
from tests.enrich.test_ownership import INTERNAL

NOON = datetime(2026, 9, 1, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def pairs(*addresses: str) -> ibis.Table:
    rows = [
        {
            "initiator": "10.0.0.1",
            "responder": address,
            "direction": "outbound",
            "intermediate": False,
        }
        for address in addresses
    ]
    return ibis.memtable(connections.SUMMARIES.rows(rows))


def listed(*items: str, **more: Any) -> ibis.Table:
    rows = []
    for line, item in enumerate(items, 1):
        kind = (
            "domain"
            if any(c.isalpha() for c in item) and ":" not in item
            else ("network" if "/" in item else "address")
        )
        known = {"indicator": item, "type": kind, "kind": "c2", "feed": "f", "evidence_id": "s"}
        rows.append(known | {"line": line} | more)
    return ibis.memtable(lists.TABLE.rows(rows))


def answers(*rows: tuple[str, str], at: datetime = NOON, **more: Any) -> ibis.Table:
    found = [
        {"query_time": at, "name": name, "answers": [address]} | more for name, address in rows
    ]
    return ibis.memtable(resolver.TABLE.rows(found))


def contacts(*times: tuple[datetime, datetime], peer: str = "203.0.113.7") -> ibis.Table:
    rows = [
        {"initiator": "10.0.0.1", "responder": peer, "direction": "outbound", "intermediate": False,
         "first_seen": first, "last_seen": last}
        for first, last in times
    ]  # fmt: skip
    return ibis.memtable(connections.TABLE.rows(rows))


def summed(*times: tuple[datetime, datetime], peer: str = "203.0.113.7") -> ibis.Table:
    """The pair that such connections make."""
    found = contacts((min(first for first, _ in times), max(last for _, last in times)), peer=peer)
    return found.mutate(connections=len(times))


def match(seen: ibis.Table, items: ibis.Table, names: ibis.Table | None = None) -> list[tuple]:
    found = indicators.match_indicators(seen, items, answers() if names is None else names)
    assert found.column_names == indicators.MATCHES.columns
    return [(row["address"], row["indicator"]) for row in found.to_pylist()]


def test_all_that_cover_it_the_most_specific_first() -> None:
    seen = pairs("203.0.113.7", "203.0.113.200", "198.51.100.1")
    items = listed("203.0.113.0/24", "203.0.113.7", "203.0.112.0/20", "203.0.113.0/28")
    assert match(seen, items) == [
        ("203.0.113.200", "203.0.113.0/24"),
        ("203.0.113.200", "203.0.112.0/20"),
        ("203.0.113.7", "203.0.113.7"),
        ("203.0.113.7", "203.0.113.0/28"),
        ("203.0.113.7", "203.0.113.0/24"),
        ("203.0.113.7", "203.0.112.0/20"),
    ]


def test_ipv6() -> None:
    seen = pairs("2001:db8:1::9", "2001:db9::1")
    assert match(seen, listed("2001:db8::/32", "2001:db8:1::9", "::/1")) == [
        ("2001:db8:1::9", "2001:db8:1::9"),
        ("2001:db8:1::9", "2001:db8::/32"),
        ("2001:db8:1::9", "::/1"),
        ("2001:db9::1", "::/1"),
    ]


@pytest.mark.parametrize(
    "address",
    ["10.1.2.3", "192.168.1.1", "172.31.0.9", "100.64.3.4", "169.254.1.1", "fd00::1", "fe80::1",
     "224.0.0.251", "255.255.255.255", "0.0.0.0", "ff02::1"],
)  # fmt: skip
def test_special_purpose_addresses_match_no_list(address) -> None:
    assert match(pairs(address), listed("0.0.0.0/1", "128.0.0.0/1", "::/0", address)) == []


def test_domains_match_their_answers_and_those_of_subdomains() -> None:
    seen = pairs("203.0.113.7", "203.0.113.8", "203.0.113.9")
    names = answers(
        ("pool.example", "203.0.113.7"),
        ("eu1.pool.example", "203.0.113.8"),
        ("whirlpool.example", "203.0.113.9"),
    )
    assert match(seen, listed("pool.example"), names) == [
        ("203.0.113.7", "pool.example"),
        ("203.0.113.8", "pool.example"),
    ]


def test_confidence_port_and_description_are_kept() -> None:
    items = listed("203.0.113.7", confidence=80, port=443, description="<b>")
    (row,) = indicators.match_indicators(pairs("203.0.113.7"), items, answers()).to_pylist()
    assert (row["confidence"], row["port"], row["description"]) == (80, 443, "<b>")


@pytest.mark.parametrize(
    ("since", "until", "within"),
    [
        (None, None, True),
        (NOON - DAY, NOON + 3 * DAY, True),
        (NOON + HOUR, None, True),  # it began while the first connection lasted
        (None, NOON - HOUR, False),
        (NOON + 3 * DAY, None, False),
        (NOON + 12 * HOUR, NOON + 13 * HOUR, False),  # between the two: only they can tell
        (NOON + 12 * HOUR, NOON + DAY, True),
    ],
)
def test_matches_outside_of_the_period_are_marked(since, until, within) -> None:
    times = [(NOON, NOON + HOUR), (NOON + DAY, NOON + DAY + HOUR)]
    items = listed("203.0.113.7", valid_from=since, valid_until=until)
    (row,) = indicators.match_indicators(
        summed(*times), items, answers(), contacts(*times)
    ).to_pylist()
    assert row["in_period"] is within


def test_an_answer_is_valid_for_a_day() -> None:
    names = answers(("pool.example", "203.0.113.7"))
    for begun, within in (
        (NOON - HOUR, False),  # before the first look-up
        (NOON - timedelta(seconds=60), True),  # a record may start a minute early
        (NOON + DAY, True),
        (NOON + DAY + HOUR, False),
    ):
        times = [(begun, begun + 9 * DAY)]  # a long connection counts by its beginning
        (row,) = indicators.match_indicators(
            summed(*times), listed("pool.example"), names, contacts(*times)
        ).to_pylist()
        assert row["in_period"] is within, begun
        assert (row["resolved_from"], row["resolved_until"]) == (NOON, NOON + DAY)


def test_overlapping_answers_are_one_period() -> None:
    times = (NOON, NOON + HOUR, NOON + 20 * HOUR, NOON + 5 * DAY)
    names = answers(("a.pool.example", "203.0.113.7"), at=times[0])
    for at in times[1:]:
        names = names.union(answers(("b.pool.example", "203.0.113.7"), at=at))
    seen = contacts((NOON, NOON + 6 * DAY))
    rows = indicators.match_indicators(seen, listed("pool.example"), names).to_pylist()
    assert [(row["resolved_from"], row["resolved_until"]) for row in rows] == [
        (NOON, NOON + 44 * HOUR),
        (NOON + 5 * DAY, NOON + 6 * DAY),
    ]


def test_an_alias_in_the_answer_is_a_name_too() -> None:
    names = answers(("cdn.example", "203.0.113.7"), canonical_names=["a.evil.example"])
    assert match(pairs("203.0.113.7"), listed("evil.example"), names) == [
        ("203.0.113.7", "evil.example")
    ]


def test_suppressed_indicators_are_listed() -> None:
    seen = pairs("10.0.0.2", "10.9.0.1", "203.0.113.7", "224.0.0.251", "fd00::9")
    items = listed("10.0.0.0/8", "224.0.0.0/3", "203.0.113.0/24", "172.16.0.0/12", "fc00::/7")
    found = indicators.find_special_purpose_indicators(seen, items)
    assert found.column_names == indicators.SPECIAL_PURPOSE_INDICATORS.columns
    assert [(row["indicator"], row["addresses"], row["line"]) for row in found.to_pylist()] == [
        ("10.0.0.0/8", 3, 1),
        ("224.0.0.0/3", 1, 2),
        ("fc00::/7", 1, 5),
    ]
    assert set(found["reason"].to_pylist()) == {indicators.REASON}
    assert (
        indicators.find_special_purpose_indicators(
            seen, listed("10.0.0.0/8", kind="allow")
        ).num_rows
        == 0
    )


def test_internal_matches_without_whole_special_purpose_ranges() -> None:
    seen = pairs("10.0.0.7", "192.168.1.1", "fd00::7", "203.0.113.7")
    items = listed(
        "10.0.0.0/8", "10.0.0.0/9", "10.0.0.7", "192.168.0.0/16", "0.0.0.0/1", "fc00::/6",
        "fd00::/8", "203.0.113.0/24",
    )  # fmt: skip
    found = indicators.match_indicators(seen, items, answers(), internal=True).to_pylist()
    assert [(row["address"], row["indicator"]) for row in found] == [
        ("10.0.0.1", "10.0.0.0/9"),
        ("10.0.0.7", "10.0.0.7"),
        ("10.0.0.7", "10.0.0.0/9"),
        ("203.0.113.7", "203.0.113.0/24"),
        ("fd00::7", "fd00::/8"),
    ]


def test_a_mapped_address_is_an_ipv6_one() -> None:
    items = listed("::/1", "10.0.0.0/8", "::ffff:a00:0/104")
    assert match(pairs("::ffff:a00:7"), items) == [
        ("::ffff:a00:7", "::ffff:a00:0/104"),
        ("::ffff:a00:7", "::/1"),
    ]


def test_text_that_is_no_address_matches_nothing() -> None:
    assert match(pairs("203.0.113.7", "nonsense", "1:2:x"), listed("0.0.0.0/1", "128.0.0.0/1")) == [
        ("203.0.113.7", "128.0.0.0/1")
    ]


def test_nothing_listed_or_nothing_seen() -> None:
    assert match(pairs(), listed("203.0.113.0/24")) == []
    assert match(pairs("203.0.113.7"), listed()) == []


NETWORKS = st.ip_addresses(v=4).flatmap(
    lambda a: st.integers(1, 32).map(lambda n: str(ipaddress.ip_network((int(a), n), strict=False)))
) | st.ip_addresses(v=6).flatmap(
    lambda a: st.integers(1, 128).map(
        lambda n: str(ipaddress.IPv6Network((int(a), n), strict=False))
    )
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.ip_addresses(), max_size=8), st.lists(NETWORKS, max_size=8), st.data())
def test_the_same_as_a_plain_loop(addresses, networks, data) -> None:
    if networks:  # chance alone would rarely hit
        nets = [ipaddress.ip_network(text) for text in networks]
        picked = data.draw(st.lists(st.sampled_from(nets), max_size=4))
        addresses = [*addresses, *(net[data.draw(st.integers(0, min(9, net.num_addresses - 1)))]
                                   for net in picked)]  # fmt: skip
    seen = [str(a) for a in addresses]
    expected = {
        (text, net)
        for text in seen
        if not is_special(text)
        for net in networks
        if ipaddress.ip_address(text) in ipaddress.ip_network(net)
    }
    assert set(match(pairs(*seen), listed(*networks))) == expected


def is_special(text: str) -> bool:
    address = ipaddress.ip_address(text)
    reserved = ["0.0.0.0/8", "192.0.0.0/24", "224.0.0.0/4", "240.0.0.0/4",
                "::/127", "ff00::/8"]  # fmt: skip
    networks = [ipaddress.ip_network(net) for net in (*INTERNAL, *reserved)]
    return any(address in network for network in networks)
