"""Lists of where networks lie and whose they are: every maker's layout, and what is none."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowbench.loaders import dispatch
from flowbench.loaders.geo import csv as geo_csv
from flowbench.loaders.geo.csv import TABLE
from tests.loaders.flowlogs.test_text import plain


def read(
    folder: Path, data: str | bytes, name: str = "list-2026-09.csv"
) -> tuple[pa.Table, list[dict], str]:
    """Ranges, quarantine rows and kind of a file with this content."""
    path = folder / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    evidence = dispatch.Evidence.of(path, name)
    found, bad = [], []
    for table, rows in dispatch.read(evidence):
        if table == "quarantine":
            bad += rows.to_pylist()
        else:
            assert table == "geography"
            found.append(rows)
    joined = pa.concat_tables(found) if found else TABLE.arrow.empty_table()
    return joined, bad, evidence.kind


def ranges(rows: pa.Table) -> list[tuple]:
    return [
        (r["first"], r["last"], r["country"], r["asn"], r["owner"], r["line"])
        for r in rows.to_pylist()
    ]


def lines(packed: bytes) -> list[bytes]:
    return gzip.decompress(packed).splitlines(keepends=True)


ONE = ("1.0.0.0", "1.0.0.255", "AU", 13335, "Cloudflare, Inc.")
TWO = ("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", "FR", 64500, "Example")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            "1.0.0.0\t1.0.0.255\t13335\tAU\tCloudflare, Inc.\n"
            "1.0.1.0\t1.0.3.255\t0\tNone\tNot routed\n"
            "2001:db8::\t2001:db8:ffff:ffff:ffff:ffff:ffff:ffff\t64500\tFR\tExample\n",
            [(*ONE, 1), (*TWO, 3)],
            id="iptoasn",
        ),
        pytest.param(
            "16777216\t16777471\t13335\tAU\tCloudflare, Inc.\n",
            [(*ONE, 1)],
            id="iptoasn, numbers",
        ),
        pytest.param(
            "1.0.0.0,1.0.0.255,AU\n2001:db8::,2001:db8:ffff:ffff:ffff:ffff:ffff:ffff,FR\n",
            [(*ONE[:3], None, None, 1), (*TWO[:3], None, None, 2)],
            id="DB-IP country",
        ),
        pytest.param(
            '1.0.0.0,1.0.0.255,13335,"Cloudflare, Inc."\n',
            [(*ONE[:2], None, *ONE[3:], 1)],
            id="DB-IP ASN",
        ),
        pytest.param(
            '1.0.0.0,1.0.0.255,OC,AU,Queensland,"South Brisbane",-27.47,153.02\n'
            "1.0.1.0,1.0.1.255,AS,CN,Fujian,Wenquan,26.0,119.2\n",
            [(*ONE[:3], None, None, 1), ("1.0.1.0", "1.0.1.255", "CN", None, None, 2)],
            id="DB-IP city",
        ),
        pytest.param(
            "network,country,country_code,continent,continent_code,asn,as_name,as_domain\n"
            '1.0.0.0/24,Australia,AU,Oceania,OC,AS13335,"Cloudflare, Inc.",cloudflare.com\n'
            "2001:db8::/32,France,FR,Europe,EU,AS64500,Example,\n",
            [(*ONE, 2), (*TWO, 3)],
            id="IPinfo lite",
        ),
        pytest.param(
            "start_ip,end_ip,country,country_name,asn,as_name\n"
            '1.0.0.0,1.0.0.255,AU,Australia,AS13335,"Cloudflare, Inc."\n',
            [(*ONE, 2)],
            id="IPinfo country and ASN",
        ),
        pytest.param(
            '"0","281470681743359","-","-"\n'
            '"281470698520576","281470698520831","AU","Australia"\n'
            '"42540766411282592856903984951653826560",'
            '"42540766490510755371168322545197776895","FR","France"\n',
            [(*ONE[:3], None, None, 2), (*TWO[:3], None, None, 3)],
            id="IP2Location, IPv6 with IPv4 in it",
        ),
        pytest.param(
            '"16777216","16777471","1.0.0.0/24","13335","Cloudflare, Inc."\n',
            [(*ONE[:2], None, *ONE[3:], 1)],
            id="IP2Location ASN",
        ),
        pytest.param(
            "network,autonomous_system_number,autonomous_system_organization\n"
            '1.0.0.0/24,13335,"Cloudflare, Inc."\n',
            [(*ONE[:2], None, *ONE[3:], 2)],
            id="MaxMind ASN blocks",
        ),
        pytest.param(
            "# geofeed\n1.0.0.0/24,AU,AU-QLD,Brisbane,\n2001:db8::/32,FR,,,\n",
            [(*ONE[:3], None, None, 2), (*TWO[:3], None, None, 3)],
            id="geofeed",
        ),
    ],
)
def test_a_layout(tmp_path, text, expected) -> None:
    rows, bad, kind = read(tmp_path, text)
    assert (kind, bad) == ("geography", [])
    assert ranges(rows) == expected
    assert set(rows["database"].to_pylist()) == {"list-2026-09"}
    assert set(rows["published"].to_pylist()) == {datetime(2026, 9, 1, tzinfo=UTC)}
    assert plain(rows).schema == TABLE.arrow


def test_adjacent_ranges_with_the_same_statement_are_joined(tmp_path) -> None:
    text = "1.0.0.0/25,AU\n1.0.0.128/25,AU\n1.0.1.0/24,CN\n1.0.3.0/24,CN\n1.0.4.0/24,CN\n"
    rows, _, _ = read(tmp_path, text)
    assert ranges(rows) == [
        ("1.0.0.0", "1.0.0.255", "AU", None, None, 1),
        ("1.0.1.0", "1.0.1.255", "CN", None, None, 3),
        ("1.0.3.0", "1.0.4.255", "CN", None, None, 4),
    ]


def test_the_packed_lists_of_maltrail(tmp_path, samples) -> None:
    folder = samples / "feeds/maltrail/data"
    start = b"".join(
        gzip.decompress((folder / "ip2cc.csv.gz").read_bytes()).splitlines(True)[:5_000]
    )
    rows, bad, kind = read(tmp_path, gzip.compress(start), "ip2cc.csv.gz")
    assert (kind, bad) == ("geography", [])
    assert ranges(rows)[:2] == [
        ("1.0.0.0", "1.0.0.255", "AU", None, None, 3),
        ("1.0.1.0", "1.0.3.255", "CN", None, None, 4),
    ]
    assert rows.num_rows == 3_526
    start = b"".join(
        gzip.decompress((folder / "ip2cc6.csv.gz").read_bytes()).splitlines(True)[:5_000]
    )
    rows, bad, _ = read(tmp_path, start, "ip2cc6.csv")
    assert bad == []
    assert ranges(rows)[0] == (
        "2001:4:112::", "2001:4:112:ffff:ffff:ffff:ffff:ffff", "US", None, None, 3,
    )  # fmt: skip


def test_a_list_of_a_cloud_that_is_a_geofeed(tmp_path, samples) -> None:
    path = samples / "feeds/ip-ranges/digitalocean.csv"
    rows, bad, kind = read(tmp_path, path.read_bytes(), path.name)
    assert (kind, bad) == ("geography", [])
    assert ranges(rows)[0] == ("5.101.96.0", "5.101.107.255", "NL", None, None, 1)


def test_bad_lines_are_rejected_with_their_number(tmp_path) -> None:
    good = "".join(f"1.0.{n}.0,1.0.{n}.255,{'AU' if n % 2 else 'CN'}\n" for n in range(20))
    text = good + "1.2.3.4,oops,AU\n1.9.0.9,1.9.0.0,AU\n1.8.0.0,1.8.0.255,Australia\n"
    rows, bad, _ = read(tmp_path, text)
    assert rows.num_rows == 20
    assert [(row["line"], row["reason"]) for row in bad] == [
        (21, "no range of addresses"),
        (22, "a range that ends before it starts"),
        (23, "neither a country nor an autonomous system"),
    ]
    rows, bad, _ = read(tmp_path, "#hexdelta1:4\n0,\n1000000,AU\noops,CN\n100,CN\n")
    assert ranges(rows) == []
    assert (bad[0]["line"], "displaced" in bad[0]["reason"]) == (4, True)


def test_countries_by_number_are_rejected_with_the_remedy(tmp_path) -> None:
    text = "network,geoname_id,registered_country_geoname_id\n1.0.0.0/24,2077456,2077456\n"
    rows, bad, kind = read(tmp_path, text)
    assert (rows.num_rows, kind, len(bad)) == (0, "geography", 1)
    assert "load the same database as .mmdb" in bad[0]["reason"]


@pytest.mark.parametrize(
    "text",
    [
        "1.0.0.0/24\n2.0.0.0/24\n",
        "indicator,kind,country\n1.0.0.0/24,tor,AU\n",
        "1.10.16.0/20 ; SBL256894\n",
        "ip,country\n1.2.3.4,AU\n",
        "1,2,3\n4,5,6\n",
        "2 123 eni-0a 198.51.100.23 10.0.1.10 51544 22 6 18 3120 1788232200 1788232259 ACCEPT OK\n",
    ],
)
def test_other_lists_are_left_to_other_kinds(text) -> None:
    assert geo_csv.matches_head(text.encode()) is False or text.startswith("1,2,3")


@given(st.text() | st.text('0123456789.,:/\tAUS"-\n', max_size=200))
def test_any_text_is_read_or_rejected(text) -> None:
    geo_csv.matches_head(text.encode("utf-8", "replace"))
    for found in geo_csv.read_lines(enumerate(text.split("\n"), 1), "x"):
        assert isinstance(found, dict) or found[2]
