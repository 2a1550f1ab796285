"""Databases in MaxMind's format: what they say, whatever their maker, and the damaged ones."""

from __future__ import annotations

import bisect
import gzip
import io
import ipaddress
import itertools
import random
import shutil
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import maxminddb
import pyarrow as pa
import pytest

from flowbench.loaders import dispatch
from flowbench.loaders.base import File
from flowbench.loaders.geo import mmdb, ranges
from flowbench.loaders.geo.ranges import UNKNOWN, as_number, country_code
from tests.loaders.geo.test_csv import read


def statement(rows: pa.Table, address: str) -> tuple[str | None, int | None, str | None] | None:
    """What the ranges say of an address."""
    wanted = ipaddress.ip_address(address)
    for row in rows.to_pylist():
        first, last = (ipaddress.ip_address(row[end]) for end in ("first", "last"))
        if first.version == wanted.version and first <= wanted <= last:
            return row["country"], row["asn"], row["owner"]
    return None


@pytest.mark.parametrize(
    ("name", "address", "known"),
    [
        ("GeoLite2-Country-Test", "81.2.69.142", ("GB", None, None)),
        ("GeoLite2-Country-Test", "2001:218::1", ("JP", None, None)),
        ("GeoLite2-City-Test", "81.2.69.142", ("GB", None, None)),
        ("GeoLite2-City-Test", "216.160.83.56", ("US", None, None)),
        ("GeoLite2-City-Test", "67.43.156.1", ("BT", None, None)),
        ("GeoLite2-City-Test", "89.160.20.112", ("SE", None, None)),
        ("GeoIP2-City-Test", "2.2.3.9", ("GB", None, None)),
        ("GeoLite2-ASN-Test", "1.0.0.9", (None, 15169, "Google Inc.")),
        ("GeoLite2-ASN-Test", "1.128.0.1", (None, 1221, "Telstra Pty Ltd")),
        ("GeoIP2-ISP-Test", "1.0.128.9", (None, None, "TOT Public Company Limited")),
        ("GeoLite2-City-Test", "9.9.9.9", None),
    ],
)
def test_known_answers(tmp_path, samples, name, address, known) -> None:
    rows, bad, kind = read(
        tmp_path, gzip.compress((samples / f"geo/maxmind-test/{name}.mmdb").read_bytes())
    )
    assert (kind, bad) == ("geography", [])
    assert statement(rows, address) == known
    assert set(rows["database"].to_pylist()) == {name.removesuffix("-Test")}
    assert set(rows["published"].to_pylist()) == {datetime(2026, 2, 4, 22, 49, 29, tzinfo=UTC)}


def ranges_in(path: Path) -> list[ranges.Range]:
    raw = path.read_bytes()
    return mmdb._ranges(raw, maxminddb.open_database(path, maxminddb.MODE_MEMORY).metadata())


@pytest.mark.parametrize(
    "name",
    ["GeoLite2-Country-Test", "GeoIP2-Country-Test", "GeoLite2-ASN-Test", "GeoIP2-ISP-Test"],
)
def test_every_address_is_in_the_range_of_its_record(samples, name) -> None:
    """Looked up one by one, which is another way through the tree than iteration."""
    path = samples / f"geo/maxmind-test/{name}.mmdb"
    found = ranges_in(path)
    assert len(found) > 100
    assert sorted(found, key=lambda r: (r.bits, r.first)) == found
    starts = [(r.bits, r.first) for r in found]
    with maxminddb.open_database(path, maxminddb.MODE_MEMORY) as database:
        for network, record in database:
            bits, first = network.max_prefixlen, int(network[0])
            expected = mmdb._network(database.get(network[-1]))
            assert mmdb._network(record) == expected
            at = bisect.bisect_right(starts, (bits, first)) - 1
            is_covered = at >= 0 and found[at].bits == bits and found[at].last >= int(network[-1])
            assert (found[at].network if is_covered else UNKNOWN) == expected
    for before, after in itertools.pairwise(found):
        assert not after.continues(before)


def test_a_whole_country_database(samples) -> None:
    path = samples / "geo/iptoasn/iptoasn-country-ipv4.mmdb"
    found = ranges_in(path)
    assert len(found) == 225_130  # of 315,308 networks
    with maxminddb.open_database(path) as database:
        for each in found[::500]:
            for end in (each.first, each.last):
                record = database.get(ipaddress.ip_address(end))
                assert record == {"country_code": each.network.country}


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("MaxMind-DB-test-broken-pointers-24", "beyond its data|bad data"),
        ("MaxMind-DB-test-broken-search-tree-24", "search tree"),
        ("GeoIP2-Anonymous-IP-Test", "without countries or network owners"),
    ],
)
def test_unusable_databases_are_rejected_with_the_reason(tmp_path, samples, name, reason) -> None:
    rows, bad, kind = read(tmp_path, (samples / f"geo/maxmind-test/{name}.mmdb").read_bytes())
    assert (rows.num_rows, kind, len(bad)) == (0, "geography", 1)
    assert pa.compute.any(
        pa.compute.match_substring_regex(pa.array([bad[0]["reason"]]), reason)
    ).as_py(), bad[0]["reason"]


def test_a_truncated_database_is_rejected_whole(tmp_path, samples) -> None:
    raw = (samples / "geo/maxmind-test/GeoLite2-Country-Test.mmdb").read_bytes()
    end = raw.rfind(mmdb.TRAILER_MAGIC)
    for cut in (raw[:9_000] + raw[end:], raw[: end + 40], raw[end:]):
        rows, bad, _ = read(tmp_path, cut)
        assert (rows.num_rows, len(bad)) == (0, 1)


def tree_of(children: Iterable[int]) -> bytes:
    """A search tree of 28-bit records in which both children of a node are the same."""
    return b"".join((child << 32 | child).to_bytes(8, "big")[1:] for child in children)


def test_a_tree_that_the_walk_could_not_end_is_damaged(tmp_path, samples) -> None:
    path = samples / "geo/maxmind-test/GeoLite2-Country-Test.mmdb"
    raw, metadata = path.read_bytes(), maxminddb.open_database(path).metadata()
    count = metadata.node_count
    assert metadata.record_size == 28
    random_nodes = random.Random(1).choices(range(count), k=count)
    # 2**100 paths of 100 nodes each: no address is too deep, and no walk would come to an end.
    doubling = [*range(1, 101), *[count] * (count - 100)]
    for tree, reason in (
        (tree_of([0] * count), "deeper than"),
        (tree_of(random_nodes), "deeper than"),
        (tree_of(doubling), "leads back into itself"),
    ):
        rows, bad, _ = read(tmp_path, tree + raw[len(tree) :])
        assert rows.num_rows == 0
        assert reason in bad[0]["reason"]


def test_networks_that_the_makers_reader_cannot_iterate(tmp_path, samples) -> None:
    """One directly after ::/96 (GeoIP2-Anonymous-IP-Test has it), and one that contains ::/96."""
    raw = (samples / "geo/maxmind-test/GeoLite2-Country-Test.mmdb").read_bytes()
    count = (
        maxminddb.open_database(samples / "geo/maxmind-test/GeoLite2-Country-Test.mmdb")
        .metadata()
        .node_count
    )
    leaf = next(
        pointer for record in mmdb._tree_records(raw, count, 28) if (pointer := record) > count
    )
    nodes = [(leaf, count)] + [(count, count)] * (count - 1)
    tree = b"".join(
        (
            (left & 0xFFFFFF) << 32 | (left >> 24) << 28 | (right >> 24) << 24 | right & 0xFFFFFF
        ).to_bytes(7, "big")
        for left, right in nodes
    )
    rows, bad, _ = read(tmp_path, tree + raw[len(tree) :])
    assert bad == []
    assert rows.select(["first", "last"]).to_pylist() == [
        {"first": "::", "last": "7fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"}
    ]
    anonymous = samples / "geo/maxmind-test/GeoIP2-Anonymous-IP-Test.mmdb"
    records = mmdb._tree_records(
        anonymous.read_bytes(),
        (about := maxminddb.open_database(anonymous).metadata()).node_count,
        about.record_size,
    )
    assert (1 << 32, 96) in {leaf[:2] for leaf in mmdb._leaves(records, 128)}


def test_any_damage_is_read_or_rejected(samples) -> None:
    raw = (samples / "geo/maxmind-test/GeoLite2-Country-Test.mmdb").read_bytes()
    chance, rejected = random.Random(7), 0
    for _ in range(60):
        broken = bytearray(raw)
        for _ in range(2):
            broken[chance.randrange(len(raw))] = chance.randrange(256)
        file = File("x.mmdb", "geography", None)
        rows = list(mmdb.read(file, io.BytesIO(bytes(broken))))
        assert rows or file.quarantine_rows
        rejected += bool(file.quarantine_rows)
    assert 10 < rejected < 60


def test_other_binaries_are_still_unknown(tmp_path) -> None:
    rows, bad, kind = read(tmp_path, b"\0\1\2" * 100_000)
    assert (rows.num_rows, kind) == (0, "unknown")
    assert bad[0]["reason"] == "binary data of no kind flowbench knows"


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ({"country": {"iso_code": "de"}}, ("DE", None, None)),
        ({"country": "Germany", "country_code": "DE", "asn": "AS3320", "as_name": "DTAG"},
         ("DE", 3320, "DTAG")),
        ({"country": "DE", "asn": "", "name": ""}, ("DE", None, None)),
        ({"registered_country": {"iso_code": "FR"}}, ("FR", None, None)),
        ({"traits": {"autonomous_system_number": 1}}, (None, 1, None)),
        ({"country": {"iso_code": "ZZ"}, "as_name": "a\0b"}, ("", None, "a\ufffdb")),
        (["not", "a", "map"], (None, None, None)),
        ({"asn": True, "country": 7}, (None, None, None)),
    ],
)  # fmt: skip
def test_layouts_of_other_makers(record, words) -> None:
    assert mmdb._network(record) == (words[0] or None, *words[1:])


def test_codes_and_numbers() -> None:
    assert [country_code(code) for code in ("de", "-", "ZZ", "DEU", None, 5)] == ["DE", *[None] * 5]
    assert [as_number(n) for n in ("AS64500", "0", "x", 7, None)] == [64500, None, None, 7, None]


def test_a_copy_loads_into_a_case_as_evidence(tmp_path: Path, samples) -> None:
    path = tmp_path / "country.mmdb"
    shutil.copy(samples / "geo/maxmind-test/GeoLite2-Country-Test.mmdb", path)
    evidence = dispatch.Evidence.of(path, path.name)
    tables = [name for name, _ in dispatch.read(evidence)]
    assert set(tables) == {"geography"}
    assert (evidence.first_seen, evidence.kind) == (None, "geography")
