"""Indicator lists: how they are recognised, every form of an item, and their settings."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowbench.loaders.intel import lists as indicator_lists


def read(text: str, label: str = "list") -> tuple[list[dict], list[tuple[int, str, str]]]:
    """The rows and the rejected lines of a list."""
    found = list(indicator_lists.read_lines(enumerate(text.split("\n"), 1), label))
    rejected = [each for each in found if isinstance(each, tuple)]
    table = indicator_lists.TABLE.rows(each for each in found if isinstance(each, dict))
    return table.to_pylist(), rejected


def only(text: str, label: str = "list") -> dict:
    rows, rejected = read(text, label)
    assert (len(rows), rejected) == (1, [])
    return {name: value for name, value in rows[0].items() if value is not None}


def test_a_line_gives_all_its_networks_or_goes_to_quarantine() -> None:
    rows, rejected = read("192.0.2.0-192.0.2.2\n\t\nnonsense \ud800\n")
    assert [(row["indicator"], row["line"]) for row in rows] == [
        ("192.0.2.0/31", 1),
        ("192.0.2.2", 1),
    ]
    assert rejected == [(3, "nonsense \ud800", "not an address, network, range or domain")]


def test_settings_in_comments() -> None:
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


@pytest.mark.parametrize("word", ["allow", "Allowed", "allow-list", "ALLOWLIST", "white list"])
def test_an_allow_list_with_its_reason(word: str) -> None:
    text = f"# kind: {word}\n# reason: our scanners\n192.0.2.1\n192.0.2.2\n192.0.2.3 # the old one"
    rows, rejected = read(text)
    assert rejected == []
    assert [(row["kind"], row["description"]) for row in rows] == [
        ("allow", "our scanners"),
        ("allow", "our scanners"),
        ("allow", "the old one"),
    ]
    table = f"indicator,kind,reason\n192.0.2.1,{word},a column\n"
    assert (only(table)["kind"], only(table)["description"]) == ("allow", "a column")


@pytest.mark.parametrize("word", ["white", "benign", "disallow", "not allowed", "allowance"])
def test_only_the_setting_makes_an_allow_list(word: str) -> None:
    assert only(f"# kind: {word}\n192.0.2.1")["kind"] != "allow"
    # Comments of block lists describe removal: only what a list states itself counts.
    assert only(f"# {word} allow 24 h for removal\n192.0.2.1", "allow_list")["kind"] != "allow"


def test_settings_apply_from_their_line_on() -> None:
    rows, _ = read("# kind: c2\n192.0.2.1\n# kind: mining\n# feed: b\n192.0.2.2")
    assert [(row["kind"], row["feed"]) for row in rows] == [("c2", "list"), ("mining", "b")]


def test_bare_addresses_are_read_as_other_lines() -> None:
    lines = ["192.0.2.1", "192.0.2.2", "192.0.2.300", "192.0.02.1", "192.0.2.3 # x", "192.0.2.4"]
    rows, rejected = read("# kind: c2\n" + "\n".join([*lines, "# kind: tor", *lines[:2]]))
    slowly = [read(f"# kind: {kind}\n{line}")[0][0] | {"line": None} for kind, line in (
        ("c2", lines[0]), ("c2", lines[1]), ("c2", lines[4]), ("c2", lines[5]),
        ("tor", lines[0]), ("tor", lines[1]),
    )]  # fmt: skip
    assert [row | {"line": None} for row in rows] == slowly
    assert [row["line"] for row in rows] == [2, 3, 6, 7, 9, 10]
    assert [line for line, _, _ in rejected] == [4, 5]


@pytest.mark.parametrize("setting", ["valid_until: soon", "confidence: very", "confidence: 101"])
def test_a_setting_that_cannot_be_understood_is_rejected(setting: str) -> None:
    rows, rejected = read(f"# {setting}\n192.0.2.1")
    name, _, value = setting.partition(": ")
    assert rejected == [(1, f"# {setting}", f"{name} of the list cannot be understood: {value!r}")]
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
def test_the_kind_by_words_of_label_and_comments(label: str, comment: str, kind: str) -> None:
    assert only(f"# {comment}\n192.0.2.1", label)["kind"] == kind


def test_csv_in_any_order_quoted_or_not() -> None:
    text = """\
Confidence,Kind,"Valid_Until",indicator,Feed,valid_from,comment,Port
80,mining,2026-09-02,192.0.2.55,Pools,2026-08-01T00:00:00Z,"a pool, busy",3333
,Tor,,Evil.Example,,,,
"""
    rows, rejected = read(text, "own")
    assert rejected == []
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
        "evidence_id": None,
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
    assert indicator_lists.matches_head(text.encode())


def test_csv_lines_that_cannot_be_used() -> None:
    text = 'indicator,kind,first_seen\n192.0.2.1,tor\nnonsense,tor,\n192.0.2.2,tor,once\n"192.0.2.3'
    rows, rejected = read(text)
    assert rows == []
    assert [(line, reason) for line, _, reason in rejected] == [
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
    assert not indicator_lists.matches_head(text.encode())


def test_recognition_allows_one_bad_line_in_five_and_a_cut_last_line() -> None:
    assert indicator_lists.matches_head(b"192.0.2.1\n" * 4 + b"prose\n")
    assert indicator_lists.matches_head((b"192.0.2.100\n" * 6000)[: 64 << 10])
    assert indicator_lists.matches_head(b"\xef\xbb\xbf192.0.2.1")
    assert indicator_lists.matches_head("# Liste d\xe9j\xe0 vue\n192.0.2.1\r\n".encode("latin-1"))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.one_of(st.text(max_size=40), st.sampled_from(
    ["indicator,kind", "# ip,feed", "192.0.2.1", "a.example,tor", '"', "# kind:", "1-2", "[.]:1"]
)), max_size=6))  # fmt: skip
def test_any_text_is_read_or_rejected(lines: list[str]) -> None:
    read("\n".join(lines))


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_can_be_checked(head: bytes) -> None:
    indicator_lists.matches_head(head)


def test_the_real_feeds(samples: Path) -> None:
    """Items and rejected lines of each, as (items, rejected, kind)."""
    found = {}
    for path in sorted(samples.glob("feeds/**/*")):
        if path.suffix not in {".txt", ".lst", ".intel"}:
            continue
        assert indicator_lists.matches_head(path.read_bytes()[: 64 << 10]), path.name
        rows, rejected = read(path.read_text(), path.stem)
        assert len({row["kind"] for row in rows}) == 1
        found[path.relative_to(samples / "feeds").as_posix()] = (
            len(rows),
            len(rejected),
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
        and indicator_lists.matches_head(path.read_bytes()[: 64 << 10])
    ]  # fmt: skip
    assert taken == []


def test_types_in_a_real_mixed_list(samples: Path) -> None:
    path = samples / "feeds/maltrail/trails/static/suspicious/crypto_mining.txt"
    rows, _ = read(path.read_text(), path.stem)
    assert Counter(row["type"] for row in rows) == {"address": 740, "domain": 445}
    assert (rows[0]["indicator"], rows[0]["port"], rows[0]["line"]) == ("107.191.47.239", 3333, 9)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("#ip,ioc\n192.0.2.1,Possible Cobaltstrike C2 IP\n", [("192.0.2.1", "c2", None)]),
        ("# IP , port, ioc\n192.0.2.1,8443,Possible C2\n", [("192.0.2.1", "c2", 8443)]),
        ("#domain,ioc\na.example,Phishing\n", [("a.example", "phishing", None)]),
        ("ip,ioc\n192.0.2.1,Possible C2\n", [("192.0.2.1", "c2", None)]),
        ("ioc,threat\n192.0.2.1,tor\n", [("192.0.2.1", "tor", None)]),
        (
            "#Title: a feed\n#IP,Date of Detection,Protocol\n192.0.2.1,2026-09-01,https\n",
            [("192.0.2.1", "unspecified", None)],
        ),
        ("ipAddress,abuseConfidenceScore\n192.0.2.1,90\n", [("192.0.2.1", "unspecified", None)]),
        ("ip,score\n192.0.2.1,90\n", [("192.0.2.1", "unspecified", None)]),
        ('"#ip","ioc"\n"192.0.2.1","C2"\n', [("192.0.2.1", "c2", None)]),
        ("indicator_value,indicator_type\n192.0.2.1,ip\n", [("192.0.2.1", "unspecified", None)]),
        ("# ip, see elsewhere\n192.0.2.1\n", [("192.0.2.1", "unspecified", None)]),
    ],
)
def test_headers_in_comments_and_labels_called_ioc(load, content, expected) -> None:
    rows, reasons = load(content)
    assert [(row["indicator"], row["kind"], row.get("port")) for row in rows] == expected
    assert reasons == []


def test_a_row_with_delimiters_in_a_value_keeps_its_indicator(load) -> None:
    header = "#ip,detected,config,comment\n"
    rows, reasons = load(
        header + "192.0.2.1,2026,x,CS\n" * 3 + "192.0.2.2,2026,x,/a.js,y,/b.js,CS\n192.0.2.3,1\n"
    )
    assert [row["indicator"] for row in rows] == ["192.0.2.1"] * 3 + ["192.0.2.2"]
    assert rows[3]["description"] == "2026, x, /a.js, y, /b.js, CS"
    assert reasons == ["not 4 columns as in the header"]


def test_a_table_of_traffic_is_no_list_unless_a_comment_heads_it() -> None:
    table = b"ip,protocol,bytes\n192.0.2.1,6,100\n"
    assert not indicator_lists.matches_head(table)
    assert indicator_lists.matches_head(b"#" + table)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(alphabet='1.,"# -aÄ', max_size=20) | st.just("192.0.2.1,x,y")))
def test_every_line_under_a_commented_header_is_a_row_or_rejected(texts) -> None:
    numbered = enumerate(["#ip,detected,what", "192.0.2.9,1,2", *texts], 1)
    found = [
        r[0] if isinstance(r, tuple) else r["line"]
        for r in indicator_lists.read_lines(numbered, "l")
    ]
    lines = {n for n, text in enumerate(texts, 3) if text.strip() and text.strip()[0] != "#"}
    assert set(found) >= lines
