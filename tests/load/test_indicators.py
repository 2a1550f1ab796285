"""Indicator lists: what they are told by, every way to write an item, what they say of it."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowbench.load import indicators


def read(text: str, label: str = "list") -> tuple[list[dict], list[tuple[int, str, str]]]:
    """The rows and the refused lines of a list."""
    found = list(indicators.rows(enumerate(text.split("\n"), 1), label))
    refused = [each for each in found if isinstance(each, tuple)]
    table = indicators.TABLE.rows(each for each in found if isinstance(each, dict))
    return table.to_pylist(), refused


def only(text: str, label: str = "list") -> dict:
    rows, refused = read(text, label)
    assert (len(rows), refused) == (1, [])
    return {name: value for name, value in rows[0].items() if value is not None}


@pytest.mark.parametrize(
    ("line", "indicator", "kind_of", "more"),
    [
        ("192.0.2.1", "192.0.2.1", "address", {}),
        ("  192.0.2.1\t", "192.0.2.1", "address", {}),
        ("2001:DB8:0:0::1", "2001:db8::1", "address", {}),
        ("::ffff:192.0.2.1", "192.0.2.1", "address", {}),
        ("192.0.2.77/24", "192.0.2.0/24", "network", {}),
        ("192.0.2.0/255.255.255.0", "192.0.2.0/24", "network", {}),
        ("192.0.2.1/32", "192.0.2.1", "address", {}),
        ("2001:db8::/32", "2001:db8::/32", "network", {}),
        ("10.0.0.0/8", "10.0.0.0/8", "network", {}),
        ("192.0.2.0-192.0.2.255", "192.0.2.0/24", "network", {}),
        ("192.0.2.0 - 192.0.2.255", "192.0.2.0/24", "network", {}),
        ("192.0.2.0\t192.0.2.255\t24\t352\tEXAMPLE\tUS", "192.0.2.0/24", "network",
         {"description": "24 352 EXAMPLE US"}),
        ("192.0.2.1:3333", "192.0.2.1", "address", {"port": 3333}),
        ("[2001:db8::1]:9001", "2001:db8::1", "address", {"port": 9001}),
        ("pool.example:3333", "pool.example", "domain", {"port": 3333}),
        ("192.0.2.1\t7", "192.0.2.1", "address", {"description": "count: 7"}),
        ("192.0.2.0/24 ; SBL000001", "192.0.2.0/24", "network", {"description": "SBL000001"}),
        ("192.0.2.1 # US, scanner", "192.0.2.1", "address", {"description": "US, scanner"}),
        ("192.0.2.1# glued", "192.0.2.1", "address", {"description": "glued"}),
        ("192.0.2.1 // note", "192.0.2.1", "address", {"description": "note"}),
        ("192.0.2.1\t\t# 2026-09-01 03:04:05\t\t4\t123", "192.0.2.1", "address",
         {"description": "2026-09-01 03:04:05\t\t4\t123"}),
        ("Evil.Example.COM.", "evil.example.com", "domain", {}),
        ("*.evil.example", "evil.example", "domain", {}),
        (".evil.example", "evil.example", "domain", {}),
        ("_dmarc.xn--mnchen-3ya.example", "_dmarc.xn--mnchen-3ya.example", "domain", {}),
        ("münchen.example", "xn--mnchen-3ya.example", "domain", {}),
        ("127.0.0.1\tevil.example", "evil.example", "domain", {}),
        ("0.0.0.0 evil.example", "evil.example", "domain", {}),
        ("192[.]0[.]2[.]1", "192.0.2.1", "address", {}),
        ("evil(.)example", "evil.example", "domain", {}),
        ("evil[dot]example", "evil.example", "domain", {}),
        ("hxxp://192[.]0[.]2[.]1:8080/a;b#c", "192.0.2.1", "address",
         {"port": 8080, "description": "http://192.0.2.1:8080/a;b#c"}),
        ("https://[2001:db8::1]/x", "2001:db8::1", "address",
         {"description": "https://[2001:db8::1]/x"}),
        ("stratum+tcp://pool.example:3333", "pool.example", "domain",
         {"port": 3333, "description": "stratum+tcp://pool.example:3333"}),
    ],
)  # fmt: skip
def test_ways_to_write_an_item(line: str, indicator: str, kind_of: str, more: dict) -> None:
    expected = {"indicator": indicator, "type": kind_of, "kind": "unspecified", "feed": "list"}
    assert only(line) == expected | more | {"line": 1}


def test_a_range_becomes_the_networks_that_make_it() -> None:
    rows, _ = read("192.0.2.1-192.0.2.6\n2001:db8::-2001:db8::1")
    assert [(row["indicator"], row["line"]) for row in rows] == [
        ("192.0.2.1", 1),
        ("192.0.2.2/31", 1),
        ("192.0.2.4/31", 1),
        ("192.0.2.6", 1),
        ("2001:db8::/127", 2),
    ]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("999.0.2.1", "not an address"),
        ("010.0.0.1", "not an address"),
        ("192.0.2.1/33", "not an address"),
        ("192.0.2.1:0", "not an address"),
        ("192.0.2.1:99999", "not an address"),
        ("192.0.2.1 - - [01/Sep/2026] GET /", "not an address"),
        ("fe80::1%eth0", "not an address"),
        ("two words", "not an address"),
        ("localhost", "not an address"),
        ("example.123", "not an address"),
        ("/bonn.sh", "not an address"),
        ("a" * 100_000, "not an address"),
        ("ü" * 100_000 + ".example", "not an address"),
        ("\t", None),
        ("notes.txt", "a file name"),
        ("0.0.0.0/0", "covers every address"),
        ("::/0", "covers every address"),
        ("0.0.0.0-255.255.255.255", "covers every address"),
        ("192.0.2.9-192.0.2.1", "a range whose end lies before its start"),
        ("192.0.2.9-2001:db8::1", "a range whose end lies before its start"),
        ("http://files.example/a/b", "a page on a site"),
        ("files.example/a/b", "a page on a site"),
        ("192.0.2.1\ud800", "not an address"),
    ],
)
def test_what_no_item_can_be_read_from(line: str, reason: str | None) -> None:
    rows, refused = read(f"192.0.2.1\n{line}")
    assert len(rows) == 1
    assert [(n, raw, told.startswith(reason)) for n, raw, told in refused] == (
        [(2, line, True)] if reason else []
    )


def test_comments_set_what_holds_for_the_whole_list() -> None:
    text = """\ufeff# feed: Winter watch
; kind: Tor
// confidence: 90
# valid_from: 2026-08-01T00:00:00Z
# valid_until: 2026-08-31

192.0.2.1   # a relay
"""
    assert only(text, "x") == {
        "indicator": "192.0.2.1",
        "type": "address",
        "kind": "tor",
        "feed": "Winter watch",
        "confidence": 90,
        "valid_from": datetime(2026, 8, 1, tzinfo=UTC),
        "valid_until": datetime(2026, 8, 31, 23, 59, 59, 999999, tzinfo=UTC),
        "description": "a relay",
        "line": 7,
    }


def test_settings_hold_from_where_they_stand() -> None:
    rows, _ = read("# kind: c2\n192.0.2.1\n# kind: mining\n# feed: b\n192.0.2.2")
    assert [(row["kind"], row["feed"]) for row in rows] == [("c2", "list"), ("mining", "b")]


@pytest.mark.parametrize("setting", ["valid_until: soon", "confidence: very", "confidence: 101"])
def test_a_setting_that_cannot_be_understood_is_said(setting: str) -> None:
    rows, refused = read(f"# {setting}\n192.0.2.1")
    name, _, value = setting.partition(": ")
    assert refused == [(1, f"# {setting}", f"{name} of the list cannot be understood: {value!r}")]
    assert rows[0]["valid_until"] is rows[0]["confidence"] is None


@pytest.mark.parametrize(
    ("label", "comment", "kind"),
    [
        ("tor-exit-nodes", "", "tor"),
        ("torbulkexitlist", "", "tor"),
        ("monitor", "", "unspecified"),
        ("crypto_mining", "", "mining"),
        ("elf_coinminer", "", "mining"),
        ("pools", "", "mining"),
        ("training", "", "unspecified"),
        ("cobaltstrike_ips", "", "c2"),
        ("feodo", "", "c2"),
        ("mass_scanner", "", "scanner"),
        ("abuse-ch-ipblocklist", "", "reputation"),
        ("blocklist", "Known Tor exits of August", "tor"),
        ("blocklist", "C&C servers", "c2"),
        ("mine", "Reference: https://tor.example/scan", "unspecified"),
        ("x", "Category : anonymizers", "anonymizer"),
        ("x", "kind: Card Skimming", "card-skimming"),
        ("tor", "kind: unspecified", "unspecified"),
    ],
)
def test_the_kind_is_told_by_words(label: str, comment: str, kind: str) -> None:
    assert only(f"# {comment}\n192.0.2.1", label)["kind"] == kind


def test_csv_in_any_order_quoted_or_not() -> None:
    text = """\
Confidence,Kind,"Valid_Until",indicator,Feed,valid_from,comment,Port
80,mining,2026-09-02,192.0.2.55,Pools,2026-08-01T00:00:00Z,"a pool, busy",3333
,Tor,,Evil.Example,,,,
"""
    rows, refused = read(text, "own")
    assert refused == []
    assert rows[0] == {
        "indicator": "192.0.2.55",
        "type": "address",
        "kind": "mining",
        "feed": "Pools",
        "confidence": 80,
        "valid_from": datetime(2026, 8, 1, tzinfo=UTC),
        "valid_until": datetime(2026, 9, 2, 23, 59, 59, 999999, tzinfo=UTC),
        "port": 3333,
        "description": "a pool, busy",
        "source": None,
        "line": 2,
    }
    assert {name: value for name, value in rows[1].items() if value is not None} == {
        "indicator": "evil.example",
        "type": "domain",
        "kind": "tor",
        "feed": "own",
        "line": 3,
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (  # Feodo Tracker: the header is a comment in old files
            "# Feodo Tracker Botnet C2 IP Blocklist\n"
            "# Firstseen,DstIP,DstPort,LastOnline,Malware\n"
            "2026-10-29 19:16:38,192.0.2.49,80,2026-11-02,Heodo",
            {"indicator": "192.0.2.49", "kind": "c2", "port": 80, "description": "Heodo",
             "valid_from": datetime(2026, 10, 29, 19, 16, 38, tzinfo=UTC)},
        ),
        (
            "first_seen_utc,dst_ip,dst_port,c2_status,last_online,malware\r\n"
            "2026-01-02 03:04:05,192.0.2.50,443,online,2026-04-30,QakBot",
            {"indicator": "192.0.2.50", "kind": "unspecified", "port": 443},
        ),
        (  # ThreatFox
            '# "first_seen_utc","ioc_id","ioc_value","ioc_type","threat_type","fk_malware",'
            '"malware_alias","malware_printable","last_seen_utc","confidence_level","reporter"\n'
            '"2026-09-01 01:39:33", "1844800", "192.0.2.60:8080", "ip:port", "botnet_cc",'
            ' "win.cobalt_strike", "Agentemis,BEACON", "Cobalt Strike", "", "100", "reporter"',
            {"indicator": "192.0.2.60", "kind": "c2", "port": 8080, "confidence": 100,
             "description": "Cobalt Strike"},
        ),
        (  # URLhaus
            "# id,dateadded,url,url_status,last_online,threat,tags,urlhaus_link,reporter\n"
            '"1","2026-09-01 03:04:05","http://192.0.2.70:8080/a","online","","malware_download",'
            '"elf,mirai","https://urlhaus.abuse.ch/url/1/","rep"',
            {"indicator": "192.0.2.70", "kind": "malware", "port": 8080},
        ),
        (  # Zeek's intelligence framework
            "#fields\tindicator\tindicator_type\tmeta.source\tmeta.do_notice\tmeta.desc\n"
            "192.0.2.80\tIntel::ADDR\tDRB-RA\tF\tC2",
            {"indicator": "192.0.2.80", "kind": "c2", "feed": "DRB-RA", "description": "C2"},
        ),
        ("Indicator;Type\n192.0.2.1;IPv4", {"indicator": "192.0.2.1", "kind": "unspecified"}),
        ("ip\n192.0.2.1", {"indicator": "192.0.2.1", "type": "address"}),
        ("domain,category\nevil.example,Phishing", {"type": "domain", "kind": "phishing"}),
    ],
    ids=["feodo-2020", "feodo", "threatfox", "urlhaus", "zeek", "semicolons", "single", "domains"],
)  # fmt: skip
def test_csv_of_known_feeds(text: str, expected: dict) -> None:
    row = only(text.replace("\r", ""))
    assert {name: row.get(name) for name in expected} == expected
    assert indicators.sniff(text.encode())


def test_csv_lines_that_cannot_be_used() -> None:
    text = 'indicator,kind,first_seen\n192.0.2.1,tor\nnonsense,tor,\n192.0.2.2,tor,once\n"192.0.2.3'
    rows, refused = read(text)
    assert rows == []
    assert [(line, reason) for line, _, reason in refused] == [
        (2, "not 3 columns as in the header"),
        (3, "not an address, network, range or domain"),
        (4, "valid_from is not a time: 'once'"),
        (5, "not 3 columns as in the header"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\n",
        "# only\n# comments\n",
        "# MIT License\n\nCopyright (c) 2023\n\nPermission is hereby granted.\n",
        "2 123456789010 eni-1 10.0.0.1 10.0.0.2 443 5000 6 1 1 1 1 ACCEPT OK\n",
        "version account-id interface-id srcaddr dstaddr\n2 1 eni-1 10.0.0.1 10.0.0.2\n",
        '192.0.2.1 - - [01/Sep/2026:03:04:05 +0000] "GET / HTTP/1.1" 200 1\n',
        "192.0.2.0/24,NL,NL-NH,Amsterdam,1098 XH\n",
        "src_ip,dst_ip,dst_port,category\n192.0.2.1,192.0.2.2,80,web\n",
        "network,geoname_id,country\n192.0.2.0/24,1,NL\n",
        "ip,hostname,description\n192.0.2.1,web,our own\n",
        "requests==2.31\nnotes.txt\nreadme.html\n",
        "192.0.2.1\n" * 3 + "prose in between\n" * 2,
        "\0\0\0",
        "Tue Feb 27 09:27:52 IST 2024\n",
        '{"ip": "192.0.2.1"}\n',
    ],
)
def test_what_is_no_list(text: str) -> None:
    assert not indicators.sniff(text.encode())


def test_recognition_stands_one_bad_line_in_five_and_a_cut_last_one() -> None:
    assert indicators.sniff(b"192.0.2.1\n" * 4 + b"prose\n")
    assert indicators.sniff((b"192.0.2.100\n" * 6000)[: 64 << 10])
    assert indicators.sniff(b"\xef\xbb\xbf192.0.2.1")
    assert indicators.sniff("# Liste d\xe9j\xe0 vue\n192.0.2.1\r\n".encode("latin-1"))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.one_of(st.text(max_size=40), st.sampled_from(
    ["indicator,kind", "# ip,feed", "192.0.2.1", "a.example,tor", '"', "# kind:", "1-2", "[.]:1"]
)), max_size=6))  # fmt: skip
def test_any_text_is_read_or_refused(lines: list[str]) -> None:
    read("\n".join(lines))


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_looked_at_without_a_fault(head: bytes) -> None:
    indicators.sniff(head)


def test_the_real_feeds(samples: Path) -> None:
    """Items and refused lines of each, as (items, refused, kind)."""
    found = {}
    for path in sorted(samples.glob("feeds/**/*")):
        if path.suffix not in {".txt", ".lst", ".intel"}:
            continue
        assert indicators.sniff(path.read_bytes()[: 64 << 10]), path.name
        rows, refused = read(path.read_text(), path.stem)
        assert len({row["kind"] for row in rows}) == 1
        found[path.relative_to(samples / "feeds").as_posix()] = (
            len(rows),
            len(refused),
            rows[0]["kind"],
        )
    assert found == {
        "criticalpath/abuse-ch-ipblocklist.txt": (7980, 0, "reputation"),
        "criticalpath/abuse-ch-threatfox-ip.intel": (3493, 0, "malware"),
        "criticalpath/binarydefense.txt": (2662, 0, "unspecified"),
        "criticalpath/cobaltstrike_ips.intel": (2087, 0, "c2"),
        "criticalpath/cobaltstrike_ips.txt": (2087, 0, "c2"),
        "criticalpath/compromised-ips.txt": (539, 0, "reputation"),
        "criticalpath/cps_cobaltstrike_ip.txt": (160, 0, "c2"),
        "criticalpath/drb-ra-verified.txt": (153, 0, "unspecified"),
        "criticalpath/drb_ra_ip.intel": (153, 0, "c2"),
        "criticalpath/lockbit_ip.intel": (11, 0, "malware"),
        "criticalpath/predict.txt": (122, 0, "unspecified"),
        "criticalpath/rutgers.txt": (1333, 0, "unspecified"),
        "criticalpath/threatfox.txt": (3483, 0, "malware"),
        "criticalpath/tor-exit.intel": (3251, 0, "tor"),
        "criticalpath/tor-exit.txt": (3251, 0, "tor"),
        "ip-ranges/cloudflare-v4-ip-ranges.txt": (15, 0, "unspecified"),
        "ip-ranges/cloudflare-v6-ip-ranges.txt": (7, 0, "unspecified"),
        "ipsum/levels/3.txt": (14217, 0, "unspecified"),
        "ipsum/levels/4.txt": (5354, 0, "unspecified"),
        "ipsum/levels/5.txt": (1413, 0, "unspecified"),
        "ipsum/levels/6.txt": (318, 0, "unspecified"),
        "ipsum/levels/7.txt": (70, 0, "unspecified"),
        "ipsum/levels/8.txt": (23, 0, "unspecified"),
        "maltrail/trails/static/malware/elf_coinminer.txt": (888, 204, "mining"),
        "maltrail/trails/static/mass_scanner.txt": (19215, 5, "scanner"),
        "maltrail/trails/static/mass_scanner_cidr.txt": (1106, 0, "scanner"),
        "maltrail/trails/static/suspicious/crypto_mining.txt": (1185, 0, "mining"),
        "tor/tor-exit-nodes.lst": (1746, 0, "tor"),
        "tor/tor-nodes.lst": (8054, 0, "tor"),
    }


def test_no_other_sample_is_taken_for_a_list(samples: Path) -> None:
    taken = [
        path.name
        for path in sorted(samples.rglob("*"))
        if path.is_file() and "feeds" not in path.parts
        and indicators.sniff(path.open("rb").read(64 << 10))
    ]  # fmt: skip
    assert taken == []


def test_types_in_a_real_mixed_list(samples: Path) -> None:
    path = samples / "feeds/maltrail/trails/static/suspicious/crypto_mining.txt"
    rows, _ = read(path.read_text(), path.stem)
    assert Counter(row["type"] for row in rows) == {"address": 740, "domain": 445}
    assert (rows[0]["indicator"], rows[0]["port"], rows[0]["line"]) == ("107.191.47.239", 3333, 9)
