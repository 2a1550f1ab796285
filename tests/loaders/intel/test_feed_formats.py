"""Each feed's own format, from the file to its rows; what cannot be looked up is refused."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowbench.errors import BadRecord
from flowbench.loaders import dispatch, registry

TOLD = ["indicator", "type", "kind", "feed", "confidence", "valid_from", "valid_until", "port"]


def loaded(path: Path) -> tuple[list[dict[str, Any]], list[str], str]:
    """Rows (what is not null), reasons of the quarantine, and the kind of a file."""
    evidence = dispatch.Evidence.of(path, path.name)
    rows: list[dict[str, Any]] = []
    reasons: list[str] = []
    for name, table in dispatch.read(evidence):
        if name == "quarantine":
            reasons += table["reason"].to_pylist()
        else:
            assert name == "indicators"
            rows += table.to_pylist()
    names = [*TOLD, "description"]
    return (
        [{n: row[n] for n in names if row[n] is not None} for row in rows],
        reasons,
        evidence.kind,
    )


@pytest.fixture
def read(tmp_path: Path) -> Any:
    def reading(content: object, name: str = "a.file") -> tuple[list[dict[str, Any]], list[str]]:
        path = tmp_path / name
        text = content if isinstance(content, str) else json.dumps(content)
        path.write_text(text, encoding="utf-8")
        rows, reasons, kind = loaded(path)
        assert kind == "indicators"
        return rows, reasons

    return reading


def day(month: int, number: int, *clock: int) -> datetime:
    return datetime(2026, month, number, *clock, tzinfo=UTC)


def test_feodo_in_json(read) -> None:
    one = {"ip_address": "192.0.2.50", "port": 443, "status": "online", "hostname": None,
           "as_number": 64500, "first_seen": "2026-01-02 03:04:05", "last_online": "2026-04-30",
           "malware": "QakBot"}  # fmt: skip
    rows, reasons = read([one, one | {"ip_address": "nonsense"}, 7])
    assert rows == [{
        "indicator": "192.0.2.50", "type": "address", "kind": "c2", "feed": "Feodo Tracker",
        "valid_from": day(1, 2, 3, 4, 5), "valid_until": day(4, 30, 23, 59, 59, 999999),
        "port": 443, "description": "QakBot",
    }]  # fmt: skip
    assert reasons == [
        "not an address, network, range or domain: 'nonsense'",
        "not an indicator: no JSON object",
    ]


@pytest.mark.parametrize("answer", [False, True])
def test_threatfox_in_json(read, answer) -> None:
    one = {"ioc_type": "ip:port", "threat_type": "botnet_cc", "malware_printable": "Cobalt Strike",
           "confidence_level": 75, "first_seen_utc": "2026-09-01 01:39:33",
           "last_seen_utc": None}  # fmt: skip
    hashed = {"ioc_type": "md5_hash", "threat_type": "payload"}
    if answer:
        value: object = {"query_status": "ok", "data": [one | {"ioc": "192.0.2.60:8080"}, hashed]}
    else:
        value = {"1": [one | {"ioc_value": "192.0.2.60:8080"}], "2": [hashed]}
    rows, reasons = read(value)
    assert rows == [{
        "indicator": "192.0.2.60", "type": "address", "kind": "c2", "feed": "ThreatFox",
        "confidence": 75, "valid_from": day(9, 1, 1, 39, 33), "port": 8080,
        "description": "Cobalt Strike",
    }]  # fmt: skip
    assert reasons == ["not an indicator: None"]


def test_a_csv_of_abuse_ch_is_known_however_few_addresses_it_holds(read) -> None:
    head = (
        "# ThreatFox IOCs: recent, see also the Feodo blocklist\r\n"
        '# "first_seen_utc","ioc_id","ioc_value","ioc_type","threat_type","malware_printable",'
        '"last_seen_utc","confidence_level","is_compromised"\r\n'
    )
    hashes = '"2026-09-01 01:39:33", "2", "aa00", "md5_hash", "payload", "X", "", "50", "False"\r\n'
    good = '"2026-09-01", "1", "192.0.2.60:8080", "ip:port", "botnet_cc", "X", "", "5", "1"\r\n'
    rows, reasons = read(head + hashes * 9 + good + "# Number of entries: 10\r\n")
    assert [(row["indicator"], row["port"], row["kind"], row["feed"]) for row in rows] == [
        ("192.0.2.60", 8080, "c2", "ThreatFox")
    ]
    assert reasons == ["not an address, network, range or domain"] * 9


def test_urlhaus_names_pages_and_bare_addresses(read) -> None:
    head = "# id,dateadded,url,url_status,last_online,threat,tags,urlhaus_link,reporter\n"
    line = '"1","2026-09-01 03:04:05","http://{}/a","online","","malware_download","elf","","r"\n'
    rows, reasons = read(head + line.format("a.example") * 3 + line.format("192.0.2.70:8080"))
    assert [(row["indicator"], row["port"], row["feed"]) for row in rows] == [
        ("192.0.2.70", 8080, "URLhaus")
    ]
    assert {reason.partition(":")[0] for reason in reasons} == {"a page on a site"}


def test_feodo_in_csv_with_its_header_bare(read) -> None:
    rows, _ = read(
        "###\n# Feodo Tracker Botnet C2 IP Blocklist\n###\n"
        '"first_seen_utc","dst_ip","dst_port","c2_status","last_online","malware"\n'
        '"2026-01-02 03:04:05","192.0.2.50","443","online","2026-04-30","QakBot"\n'
    )
    (row,) = rows
    assert (row["kind"], row["port"], row["feed"]) == ("c2", 443, "Feodo Tracker")


def test_spamhaus(read) -> None:
    rows, reasons = read(
        '{"cidr":"192.0.2.0/24","sblid":"SBL000001","rir":"ripencc"}\n'
        '{"cidr":"192.0.2/24","sblid":"SBL000002"}\n'
        '{"asn":64500,"rir":"arin","asname":"X"}\n'
        '{"type":"metadata","timestamp":1789220642,"size":1,"records":1,"copyright":"(c)"}\n'
    )
    assert rows == [{
        "indicator": "192.0.2.0/24", "type": "network", "kind": "reputation",
        "feed": "Spamhaus DROP", "description": "SBL000001",
    }]  # fmt: skip
    assert [reason.partition(":")[0] for reason in reasons] == [
        "not an address, network, range or domain",
        "an autonomous system, not an address",
    ]
    rows, _ = read("; Spamhaus DROP List\n192.0.2.0/24 ; SBL000001\n", "drop.txt")
    assert (rows[0]["indicator"], rows[0]["description"]) == ("192.0.2.0/24", "SBL000001")


def test_dshield(read) -> None:
    rows, reasons = read(
        "# DShield.org Block List\nStart\tEnd\tNetblock\tAttacks\tName\tCountry\temail\n"
        "192.0.2.0\t192.0.2.255\t24\t352\tEXAMPLE\tUS\tabuse@example.net\n"
        "198.51.100.0\t198.51.100.255\t24\t9\nbroken\n"
    )
    assert rows == [
        {"indicator": "192.0.2.0/24", "type": "network", "kind": "scanner", "feed": "DShield",
         "description": "352 targets; EXAMPLE, US"},
        {"indicator": "198.51.100.0/24", "type": "network", "kind": "scanner", "feed": "DShield",
         "description": "9 targets"},
    ]  # fmt: skip
    assert len(reasons) == 1


def test_tor_exits_and_relays(read) -> None:
    node = "0011223344556677889900112233445566778899"
    rows, reasons = read(
        f"@type tordnsel 1.0\nExitNode {node}\nPublished 2026-09-01 00:10:50\n"
        "LastStatus 2026-09-01 10:00:00\nExitAddress 192.0.2.10 2026-09-01 10:21:54\n"
        "ExitAddress 192.0.2.11 2026-09-01 10:21:55\nSomething else\n"
    )
    assert [(row["indicator"], row["kind"], "valid_from" in row) for row in rows] == [
        ("192.0.2.10", "tor", False),
        ("192.0.2.11", "tor", False),
    ]
    assert reasons == ["not a line of an exit list: 'Something'"]
    relay = {"nickname": "n", "or_addresses": ["192.0.2.1:9001", "[2001:db8::1]:9001"]}
    rows, reasons = read({"version": "8", "relays": [relay, {"nickname": "m"}]})
    assert [(row["indicator"], row.get("port"), row["kind"]) for row in rows] == [
        ("192.0.2.1", None, "tor"),
        ("2001:db8::1", None, "tor"),
    ]
    assert reasons == ["a relay without or_addresses"]


def test_rules(read) -> None:
    rows, reasons = read(
        "# ET\nalert tcp $HOME_NET any -> [192.0.2.1,198.51.100.0/24] 443 "
        '(msg:"ET CNC Feodo Tracker Reported CnC Server group 1"; sid:1;)\n'
        'alert http $HOME_NET any -> $EXTERNAL_NET any (msg:"x"; sid:2;)\n',
        "botcc.rules",
    )
    assert [(row["indicator"], row["port"], row["kind"]) for row in rows] == [
        ("192.0.2.1", 443, "c2"),
        ("198.51.100.0/24", 443, "c2"),
    ]
    assert reasons == ["a rule without addresses"]


def test_otx(read) -> None:
    pulse = {"name": "Winter", "tags": ["ransomware"], "indicators": [
        {"indicator": "192.0.2.90", "type": "IPv4", "created": "2026-09-01T00:00:00",
         "expiration": "2026-10-01", "role": "command_and_control"},
        {"indicator": "198.51.100.0/24", "type": "CIDR"},
        {"indicator": "aa", "type": "FileHash-MD5"},
    ]}  # fmt: skip
    for value in (pulse, {"results": [pulse], "count": 1, "next": None}):
        rows, reasons = read(value)
        assert [(row["indicator"], row["kind"], row["feed"]) for row in rows] == [
            ("192.0.2.90", "c2", "OTX: Winter"),
            ("198.51.100.0/24", "malware", "OTX: Winter"),
        ]
        assert rows[0]["valid_until"] == day(10, 1, 23, 59, 59, 999999)
        assert reasons == ["an indicator of type 'FileHash-MD5': not in flow logs or DNS logs"]


def attribute(kind: str, value: str, **more: Any) -> dict[str, Any]:
    return {"type": kind, "value": value, "to_ids": True} | more


def test_misp_events(read) -> None:
    event = {"info": "Phishing wave", "Orgc": {"name": "CERT"}, "Attribute": [
        attribute("ip-dst|port", "192.0.2.1|8443", first_seen="2026-09-01T00:00:00+00:00"),
        attribute("domain|ip", "a.example|192.0.2.2", comment="C2 server"),
        attribute("ip-src", "192.0.2.3", to_ids=False),
        attribute("md5", "aa"),
    ], "Object": [{"name": "x", "Attribute": [attribute("ip-src", "2001:db8::1")]}]}  # fmt: skip
    for value in ({"Event": event}, {"response": [{"Event": event}]}):
        rows, reasons = read(value)
        assert [(row["indicator"], row.get("port"), row["kind"]) for row in rows] == [
            ("192.0.2.1", 8443, "phishing"),
            ("a.example", None, "c2"),
            ("192.0.2.2", None, "c2"),
            ("2001:db8::1", None, "phishing"),
        ]
        assert {row["feed"] for row in rows} == {"MISP: CERT: Phishing wave"}
        assert [reason[:32] for reason in reasons] == [
            "an attribute not marked for dete", "an attribute of type 'md5': not "
        ]  # fmt: skip
    uuid = "5ec9f5b3-1a2c-4d3e-8f90-0a1b2c3d4e5f"
    assert read({uuid: {"info": "x", "Orgc": {"name": "c"}, "timestamp": "1"}}) == ([], [])


def test_misp_csv(read) -> None:
    rows, reasons = read(
        "uuid,event_id,category,type,value,comment,to_ids,date\n"
        'u,1,"Network activity","ip-dst|port","192.0.2.1|22","brute force",1,20260901\n'
        'u,1,"Network activity",ip-dst,192.0.2.2,"",0,20260901\nshort,1\n',
        "export.csv",
    )
    assert [(row["indicator"], row["port"], row["kind"], row["feed"]) for row in rows] == [
        ("192.0.2.1", 22, "brute-force", "MISP: export")
    ]
    assert len(reasons) == 2


def test_warning_lists_allow(read) -> None:
    warning = {"name": "Public resolvers", "description": "d", "version": 1, "type": "cidr",
               "list": ["192.0.2.53", "2001:db8::/32", 5]}  # fmt: skip
    rows, reasons = read(warning)
    assert [(row["indicator"], row["kind"], row["feed"]) for row in rows] == [
        ("192.0.2.53", "allow", "Public resolvers"),
        ("2001:db8::/32", "allow", "Public resolvers"),
    ]
    assert reasons == ["not an indicator: 5"]
    rows, _ = read(warning | {"type": "hostname", "list": [".dns.example"]})
    assert rows[0]["indicator"] == "dns.example"
    assert read(warning | {"type": "regex"})[0] == []


MADE_BY = "identity--5ec9f5b3-1a2c-4d3e-8f90-0a1b2c3d4e5f"


def stix(*patterns: str, **more: Any) -> dict[str, Any]:
    made = [
        {"type": "indicator", "id": f"indicator--5ec9f5b3-1a2c-4d3e-8f90-{n:012}",
         "pattern": pattern, "pattern_type": "stix", "valid_from": "2026-09-01T00:00:00Z",
         "created_by_ref": MADE_BY} | more
        for n, pattern in enumerate(patterns)
    ]  # fmt: skip
    return {
        "type": "bundle",
        "objects": [{"type": "identity", "id": MADE_BY, "name": "CERT"}, *made],
    }


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("[ipv4-addr:value = '192.0.2.55']", [("192.0.2.55", None)]),
        (
            "[ipv4-addr:value = '192.0.2.1' OR ipv6-addr:value = '2001:db8::1']",
            [("192.0.2.1", None), ("2001:db8::1", None)],
        ),
        (
            "[ipv4-addr:value = '192.0.2.1'] OR [domain-name:value = 'a.example']",
            [("192.0.2.1", None), ("a.example", None)],
        ),
        (
            "[ipv4-addr:value IN ('192.0.2.1', '192.0.2.2')]",
            [("192.0.2.1", None), ("192.0.2.2", None)],
        ),
        ("[ipv4-addr:value ISSUBSET '198.51.100.0/24']", [("198.51.100.0/24", None)]),
        (
            "[network-traffic:dst_ref.type = 'ipv4-addr' AND network-traffic:dst_ref.value ="
            " '192.0.2.55' AND network-traffic:dst_port = 3333]",
            [("192.0.2.55", 3333)],
        ),
        ("[url:value = 'http://192.0.2.70/a']", [("192.0.2.70", None)]),
    ],
)
def test_stix_patterns(read, pattern, expected) -> None:
    rows, reasons = read(stix(pattern, indicator_types=["malicious-activity"], name="C2 server"))
    assert [(row["indicator"], row.get("port")) for row in rows] == expected
    assert reasons == []
    told = {(row["kind"], row["feed"], row["valid_from"]) for row in rows}
    assert told == {("c2", "STIX: CERT", day(9, 1))}


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        (
            "[ipv4-addr:value = '192.0.2.1'] FOLLOWEDBY [ipv4-addr:value = '192.0.2.2']",
            "a pattern of",
        ),
        (
            "[ipv4-addr:value = '192.0.2.1'] REPEATS 5 TIMES WITHIN 9 SECONDS",
            "a pattern of several",
        ),
        ("[domain-name:value LIKE 'a%.example']", "a pattern with LIKE"),
        ("[ipv4-addr:value != '192.0.2.1']", "a pattern with !="),
        ("[ipv4-addr:value NOT = '192.0.2.1']", "a pattern with NOT ="),
        ("[file:hashes.md5 = 'aa']", "a pattern without address"),
        ("[ipv4-addr:value = ", "not a STIX pattern"),
        ("[" + "(" * 5000, "a pattern too long"),
        ("", "not a STIX pattern"),
    ],
)
def test_stix_that_cannot_be_looked_up(read, pattern, reason) -> None:
    rows, reasons = read(stix(pattern))
    assert rows == []
    assert len(reasons) == 1
    assert reasons[0].startswith(reason)


def test_stix_observables_count_where_nothing_else_is_said(read) -> None:
    observed = {"type": "ipv4-addr", "id": "ipv4-addr--" + MADE_BY[10:], "value": "192.0.2.9"}
    assert [row["indicator"] for row in read([observed])[0]] == ["192.0.2.9"]
    assert [row["indicator"] for row in read({"more": False, "objects": [observed]})[0]] == [
        "192.0.2.9"
    ]
    bundle = stix("[ipv4-addr:value = '192.0.2.1']")
    bundle["objects"].append(observed)
    assert [row["indicator"] for row in read(bundle)[0]] == ["192.0.2.1"]
    assert read(stix("[ipv4-addr:value = '192.0.2.1']", revoked=True)) == (
        [],
        ["revoked by its creator"],
    )


JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["type", "id", "objects", "pattern", "list", "name", "version", "Event",
                         "info", "Attribute", "value", "to_ids", "indicators", "indicator", "cidr",
                         "sblid", "relays", "or_addresses", "data", "ioc_type", "threat_type"]),
        inner, max_size=5,
    ),
    max_leaves=25,
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(JSONS)
def test_any_json_is_read_or_refused(value) -> None:
    formats = [
        kind for kind in registry.KINDS if kind.__name__.startswith("flowbench.loaders.intel.")
    ]
    assert len(formats) >= 10
    for kind in formats:
        for record in (kind.matches(value) or ()) if hasattr(kind, "matches") else ():
            try:
                kind.to_row(record)
            except BadRecord:
                continue


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200), st.lists(st.text(max_size=60), max_size=5))
def test_any_text_is_read_or_refused(head, lines) -> None:
    for kind in registry.KINDS:
        if kind.__name__.startswith("flowbench.loaders.intel.") and hasattr(kind, "matches_head"):
            kind.matches_head(head)
            list(kind.read_lines(enumerate(lines, 1), "list"))


def test_the_real_feeds_in_json(samples: Path) -> None:
    lists = {
        path.parent.name: loaded(path) for path in samples.glob("feeds/misp-warninglists/lists/*/*")
    }
    assert len(lists) == 15
    assert {row["kind"] for rows, _, _ in lists.values() for row in rows} == {"allow"}
    assert not any(reasons for _, reasons, _ in lists.values())
    assert len(lists["public-dns-v4"][0]) == 62_745
    assert len(lists["amazon-aws"][0]) == 3_847
    reports = samples / "stix" / "examples" / "threat-reports"
    rows, reasons, _ = loaded(reports / "poisonivy.json")
    assert len(rows) == 63
    assert sorted(reasons) == [
        *["a pattern without address or domain"] * 2,
        "not an address, network, range or domain: 'domain autuo.xicp.net'",
    ]
    assert len(loaded(reports / "apt1.json")[0]) == 7


def test_a_list_whose_name_is_a_number_is_called_by_its_folders(tmp_path: Path) -> None:
    (tmp_path / "3.txt").write_text("192.0.2.1\n")
    evidence = dispatch.Evidence.of(tmp_path / "3.txt", "ipsum/levels/3.txt")
    ((_, table),) = list(dispatch.read(evidence))
    assert table["feed"].to_pylist() == ["ipsum levels 3"]
