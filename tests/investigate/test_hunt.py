"""Retrospective hunt: contacts in every log, in and outside the period; the case unchanged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from flowbench.cli import main
from flowbench.errors import InputError
from flowbench.investigate import hunt
from flowbench.investigate.hunt import CONTACTS
from tests.traffic import T0, connect, interface, make_case, reject

HOST, PEER, OTHER, DNS_PEER = "10.0.0.5", "203.0.113.50", "198.51.100.9", "203.0.113.77"
DAY = 86_400

QUERY = {
    "version": "1.1", "account_id": "111122223333", "region": "eu-west-1", "vpc_id": "vpc-1",
    "query_timestamp": "2026-09-01T00:00:30Z", "query_name": "a.evil.example.", "query_type": "A",
    "query_class": "IN", "rcode": "NOERROR", "srcaddr": HOST, "srcids": {"instance": "i-1"},
    "answers": [{"Rdata": DNS_PEER, "Type": "A", "Class": "IN"}],
}  # fmt: skip
CALL = {
    "eventVersion": "1.11", "eventTime": "2026-09-01T03:00:00Z", "eventSource": "s3.amazonaws.com",
    "eventName": "ListBuckets", "awsRegion": "eu-west-1", "sourceIPAddress": OTHER,
    "userIdentity": {"type": "IAMUser", "userName": "u"}, "eventID": "e-1",
}  # fmt: skip


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory):
    records = [
        *connect(HOST, PEER, 4444, T0, out=1000, back=300, source_port=40_001),
        *connect(HOST, PEER, 4444, T0 + DAY, out=1000, back=300, source_port=40_002),
        *connect(HOST, DNS_PEER, 443, T0 + 120, out=50, back=60, source_port=40_003),
        reject(OTHER, HOST, 22, T0 + 500, source_port=50_000),
        *connect(HOST, "203.0.113.99", 443, T0, source_port=40_004),
    ]
    return make_case(
        tmp_path_factory.mktemp("hunt"),
        records,
        interfaces=[interface(HOST, "a")],
        json_lines=[QUERY, {"Records": [CALL]}],
    )


def listing(folder: Path, *lines: str) -> Path:
    path = folder / "new.csv"
    path.write_text("indicator,kind,feed,valid_from,valid_until\n" + "\n".join(lines) + "\n")
    return path


def found(case, path: Path) -> list[tuple]:
    rows = hunt.hunt(case, [path]).contacts
    names = ["log", "indicator", "host", "peer", "service_port", "direction", "contacts",
             "in_period", "answered", "rejected", "bytes_out", "bytes_in"]  # fmt: skip
    return [
        tuple(row[name] for name in names)
        for row in CONTACTS.rows(
            rows.astype(object).where(rows.notna(), None).to_dict("records")
        ).to_pylist()
    ]


def test_every_contact_in_every_log(case, tmp_path) -> None:
    path = listing(
        tmp_path,
        f"{PEER},c2,f,,2026-09-01T12:00:00Z",
        "198.51.100.0/24,scanner,f,2027-01-01,",
        "evil.example,c2,f,,",
        "192.0.2.1,c2,f,,",
    )
    assert found(case, path) == [
        ("flows", PEER, HOST, PEER, 4444, "outbound", 2, 1, 2, 0, 2000, 600),
        ("dns", "evil.example", HOST, "a.evil.example", None, None, 1, 1, None, None, None, None),
        ("flows", "evil.example", HOST, DNS_PEER, 443, "outbound", 1, 1, 1, 0, 50, 60),
        ("flows", "198.51.100.0/24", HOST, OTHER, 22, "inbound", 1, 0, 0, 1, 0, 60),
        ("api", "198.51.100.0/24", None, OTHER, None, None, 1, 0, None, None, None, None),
    ]
    result = hunt.hunt(case, [path])
    assert (result.indicators, len(result.unreadable)) == (4, 0)
    assert result.searched.set_index("log")["records"].to_dict() == {
        "flows": 9,
        "api": 1,
        "dns": 1,
    }
    assert set(result.contacts["interface_id"].dropna()) == {"eni-a"}


def test_the_list_is_not_loaded_into_the_case(case, tmp_path) -> None:
    before = {path: path.read_bytes() for path in (case.path / "tables").rglob("*.parquet")}
    entries = len(case.log.entries)
    hunt.hunt(case, [listing(tmp_path, f"{PEER},c2,f,,")])
    assert len(case.log.entries) == entries
    assert {p: p.read_bytes() for p in (case.path / "tables").rglob("*.parquet")} == before


def test_allow_lists_are_named_and_private_ranges_left_out(case, tmp_path) -> None:
    path = listing(
        tmp_path, f"{PEER},c2,f,,", "203.0.113.0/26,allow,our cdn,,", "10.0.0.0/8,c2,f,,"
    )
    result = hunt.hunt(case, [path])
    assert result.contacts[["indicator", "allowed"]].to_numpy().tolist() == [[PEER, "our cdn"]]
    rows = result.special_purpose[["indicator", "addresses"]]
    assert rows.to_numpy().tolist() == [["10.0.0.0/8", 1]]


def test_what_is_no_list_is_an_error(case, tmp_path) -> None:
    other = tmp_path / "notes.md"
    other.write_text("# Notes\n\nNothing of any kind.\n")
    with pytest.raises(InputError, match="not an indicator list"):
        hunt.hunt(case, [other])
    with pytest.raises(InputError, match="does not exist"):
        hunt.hunt(case, [tmp_path / "absent.csv"])


def test_the_command(case, tmp_path) -> None:
    path = listing(tmp_path, f"{PEER},c2,f,,")
    answer = CliRunner().invoke(main, ["hunt", str(case.path), str(path), "--format", "jsonl"])
    assert answer.exit_code == 1, answer.output  # contact
    (row,) = [json.loads(line) for line in answer.stdout.splitlines()]
    assert (row["peer"], row["contacts"]) == (PEER, 2)
    assert "contact with 1 of 1 indicator; searched:" in answer.stderr

    path = listing(tmp_path, "192.0.2.1,c2,f,,")
    answer = CliRunner().invoke(main, ["hunt", str(case.path), str(path)])
    assert (answer.exit_code, answer.stdout) == (0, "")
    assert "no contact with any of 1 indicator; searched:" in answer.stderr
    assert "flows: 9 records, 2026-09-01 00:00 to 2026-09-02 00:00 UTC" in answer.stderr


def test_the_same_question_for_athena(case, tmp_path) -> None:
    path = listing(tmp_path, f"{PEER},c2,x'; DROP TABLE t --,,", "198.51.100.0/24,c2,f,2026-09-01,")
    words = ["hunt", str(case.path), str(path), "--sql", "athena", "--table", "logs.vpc"]
    answer = CliRunner().invoke(main, [*words, "--packet-addresses"])
    assert answer.exit_code == 0, answer.output
    assert "DROP" not in answer.stdout
    assert 'FROM "logs"."vpc"' in answer.stdout
    assert "pkt_srcaddr" in answer.stdout
    assert "pkt_srcaddr" not in CliRunner().invoke(main, words).stdout
    bad = CliRunner().invoke(main, [*words[:-1], "logs; DROP"])
    assert (bad.exit_code, "is not a table name" in bad.stderr) == (2, True)


def test_a_list_with_other_columns(case, tmp_path) -> None:
    bad = tmp_path / "bad.csv"
    bad.write_text(f"The IP,Why\n{PEER},exit node\n")
    ours = ["indicator=The IP,kind=Why"]
    found = hunt.hunt(case, [bad], ours)
    assert set(found.contacts["kind"]) == {"tor"}
    assert found.contacts["contacts"].sum() == 2
    with pytest.raises(InputError, match=r"bad\.csv is not an indicator list: has no header"):
        hunt.hunt(case, [bad], ["indicator=Address"])
