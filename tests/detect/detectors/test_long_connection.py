"""Long-lived connections: those that are reported with their volume, and benign ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from flowbench import detect
from flowbench.case import Case
from flowbench.detect.detectors.long_connection import is_daily
from tests.traffic import FIELDS, T0, Record, connect, interface, make_case, moved

HOST, SIX, PEER = "10.0.0.5", "2001:db8:1::5", "203.0.113.9"
HOUR, DAY = 3_600, 86_400
V2 = ["version", "account_id", "interface_id", "srcaddr", "dstaddr", "srcport", "dstport",
      "protocol", "packets", "bytes", "start", "end", "action", "log_status"]  # fmt: skip


def session(hours: float, at: float = 2, host: str = HOST, peer: str = PEER, port: int = 8443,
            **more) -> list[Record]:  # fmt: skip
    given = {"out": 500_000, "back": 900_000} | more
    begun = T0 + int(at * HOUR)
    return list(connect(host, peer, port, begun, seconds=int(hours * HOUR), **given))


def around(hours: int = 30) -> list[Record]:
    """Something at both ends of the logs, so that the session lies within."""
    return [r for hour in (0, hours) for r in connect(HOST, "203.0.113.1", 443, T0 + hour * HOUR)]


def case_of(folder: Path, *records: Record, fields=FIELDS, **more) -> Case:
    hosts = [interface(f"10.0.0.{n}", str(n)) for n in (5, 6, 7)]
    hosts[0]["Ipv6Addresses"] = [{"Ipv6Address": SIX}]
    return make_case(folder / "c", records, interfaces=hosts, fields=fields, **more)


def found(*given, **more) -> list[dict]:
    """The findings in a case of records."""
    return detect.run(case_of(*given, **more), ["long-connection"]).to_pandas().to_dict("records")


def found_each(folder: Path, *each: list[Record], **more) -> list[list[dict]]:
    """The findings in several lists of records, each of hosts of its own, in one case."""
    numbers = range(1, len(each) + 1)
    hosts = [interface(f"10.0.{k}.{n}", f"{k}-{n}") for k in numbers for n in (5, 6, 7)]
    for k in numbers:
        hosts[3 * (k - 1)]["Ipv6Addresses"] = [{"Ipv6Address": f"2001:db8:{k}01::5"}]
    records = [r for k, some in zip(numbers, each, strict=True) for r in moved(some, k)]
    case = make_case(folder, records, interfaces=hosts, **more)
    rows = detect.run(case, ["long-connection"]).to_pandas().to_dict("records")
    owners = [(f"10.0.{k}.", f"2001:db8:{k}01:") for k in numbers]
    return [[row for row in rows if row["subject"].startswith(owner)] for owner in owners]


@pytest.mark.parametrize(
    ("host", "peer", "window", "fields"),
    [(HOST, PEER, 60, FIELDS), (HOST, PEER, 600, V2), (SIX, "2001:db8:9::1", 60, FIELDS)],
)
def test_a_connection_of_hours(tmp_path, host, peer, window, fields) -> None:
    at = {"interface_id": "eni-5"} if host == SIX else {}
    records = session(6, host=host, peer=peer, window=window, **at)
    case = case_of(tmp_path, *around(), *records, fields=fields)
    (one,) = detect.run(case, ["long-connection"]).to_pandas().to_dict("records")
    assert (one["severity"], one["subject"], one["peer"]) == ("low", host, peer)
    assert (one["service_port"], one["connections"]) == (8443, 1)
    assert one["summary"].startswith(f"{host} had 1 connection to")
    assert ", 6." in one["summary"]
    assert " h long" in one["summary"]
    assert "start or end of the logs" not in one["summary"]
    assert len(case.evidence_for(one)) == len(records)


def test_uploads_and_indicators_raise_the_severity(tmp_path) -> None:
    carried = session(6, out=60_000_000, back=200_000)
    (one,) = found(tmp_path / "out", *around(), *carried)
    assert (one["severity"], round(one["bytes_out"], -6)) == ("medium", 60_000_000)
    named = f"indicator,kind,feed\n{PEER},c2,list\n"
    (one,) = found(tmp_path / "named", *around(), *session(6), indicators=named)
    assert one["severity"] == "high"
    assert "is on an indicator list" in one["summary"]


def test_web_sessions_that_are_reported(tmp_path) -> None:
    sessions = {
        "it answers": session(6, port=443, out=500_000, back=250_000),
        "in balance": session(6, port=443, out=500_000, back=900_000),
        "no web port": session(6, port=22, out=500_000, back=5_000_000),
        "waits all night": session(13, port=443, out=100_000, back=900_000),
    }
    each = found_each(tmp_path, *([*around(), *records] for records in sessions.values()))
    for number, (name, rows) in enumerate(zip(sessions, each, strict=True), 1):
        (one,) = rows
        assert (one["severity"], one["subject"]) == ("low", f"10.0.{number}.5"), name
        assert one["peer"] == f"203.{number}.113.9", name
    named = f"indicator,kind,feed\n{PEER},c2,list\n"
    chat = session(6, port=443, out=200_000, back=1_300_000)
    (one,) = found(tmp_path / "named", *around(), *chat, indicators=named)
    assert one["severity"] == "high"


@pytest.mark.parametrize("fields", [FIELDS, V2])
def test_two_ephemeral_ports_have_a_caveat(tmp_path, fields) -> None:
    records = session(6, port=51_000, out=480_000, back=240_000)
    case = case_of(tmp_path, *around(), *records, fields=fields)
    (one,) = detect.run(case, ["long-connection"]).to_pandas().to_dict("records")
    assert (one["subject"], one["peer"], one["service_port"]) == (HOST, PEER, 51_000)
    assert one["bytes_out"] == pytest.approx(2 * one["bytes_in"], rel=0.01)
    assert ("either end may have opened" in one["caveats"]) == (fields is V2)
    assert len(case.evidence_for(one)) == len(records)


def test_a_connection_at_the_end_of_the_logs_may_be_longer(tmp_path) -> None:
    (one,) = found(tmp_path, *session(6, at=0), *around())
    assert (
        "A connection extends to the start or end of the logs; its duration is a minimum."
        in one["summary"]
    )


def test_benign_connections_are_not_reported(tmp_path) -> None:
    hosts = (5, 6, 7)
    benign = {
        "short": session(3.5),
        "internal": session(6, peer="10.0.0.6"),
        "from outside": session(6, host=PEER, peer=HOST),
        "unanswered": session(6, back=0)[::2],
        "mqtt": session(9, port=8883, out=9_000, back=9_000),
        "mail": session(9, port=993, out=9_000, back=9_000),
        "ntp": session(9, port=123, protocol=17, out=9_000, back=9_000),
        "shared": [r for n in hosts for r in session(6, host=f"10.0.0.{n}")],
        "shared, an address for each": [
            r for n in hosts for r in session(6, host=f"10.0.0.{n}", peer=f"203.0.113.{n}")
        ],
        "a chat": session(6, port=443, out=200_000, back=1_300_000),
        "a chat over ipv6": session(
            6, host=SIX, peer="2001:db8:9::1", port=443, out=200_000, back=1_300_000
        ),
        "a feed": session(20, port=443, out=900_000, back=60_000_000),
        "many short ones": [r for h in range(20) for r in session(0.5, at=h)],
        "each night": [r for d, at in enumerate((2, 1.6, 2.4)) for r in session(6, at=24 * d + at)],
        "reported": session(6),  # so that this test can fail
    }
    each = found_each(tmp_path, *([*around(60), *records] for records in benign.values()))
    assert [name for name, rows in zip(benign, each, strict=True) if rows] == ["reported"]


def people(host: str = HOST) -> list[Record]:
    return [
        r for n in range(5) for r in connect(host, f"198.18.{n}.7", 443, T0, out=900, back=60_000)
    ]


def test_sessions_on_web_ports_of_hosts_with_people(tmp_path) -> None:
    sessions = {
        "notifications": session(6, port=443),
        "reports little": session(11, port=80, out=500_000, back=90_000),
        "uploads": session(6, port=443, out=60_000_000, back=200_000),
        "all night": session(13, port=443),
        "no web port": session(6, port=8443),
    }
    given = [[*around(), *people(), *records] for records in sessions.values()]
    each = found_each(tmp_path / "1", *given)
    assert [name for name, rows in zip(sessions, each, strict=True) if rows] == [
        *("uploads", "all night", "no web port")
    ]
    peers = [f"203.{number}.113.9,c2,list\n" for number in range(1, len(sessions) + 1)]
    named = "indicator,kind,feed\n" + "".join(peers)
    each = found_each(tmp_path / "2", *given, indicators=named)
    assert [len(rows) for rows in each] == [1] * len(sessions)


def test_a_session_as_long_as_the_host_is_its_function(tmp_path) -> None:
    """``around`` shows the host for 30 hours."""
    settings = [(24, 90_000, 443), (20, 90_000, 443), (24, 90_000, 8443), (24, 90_000_000, 443)]
    each = []
    for hours, size, port in settings:
        whole = session(hours, port=port, out=size, back=size // 2)
        cut = [
            record
            for n in range(4)
            for record in session(
                hours / 4 - 0.25, 2 + n * hours / 4, port=port, out=size // 4, back=size // 8
            )
        ]
        each += [[*around(), *whole], [*around(), *cut]]
    found = [len(rows) for rows in found_each(tmp_path, *each)]
    assert found == [0, 0, 1, 1, 1, 1, 1, 1]


def test_known_clouds_are_left_out(tmp_path) -> None:
    case = case_of(tmp_path, *around(), *session(6))
    listed = {"createDate": "2026-09-01-00-00-00", "prefixes": [
        {"ip_prefix": "203.0.113.0/24", "service": "EC2", "region": "us-east-1",
         "network_border_group": "us-east-1"}]}  # fmt: skip
    (tmp_path / "ip-ranges.json").write_text(json.dumps(listed))
    assert len(detect.run(case, ["long-connection"])) == 1
    case.ingest(tmp_path / "ip-ranges.json")
    assert not detect.run(case, ["long-connection"])


def test_is_daily() -> None:
    begin, end = 0.0, 4.0 * DAY
    assert is_daily([7_200, DAY + 9_000, 2 * DAY + 6_000, 3 * DAY + 7_200], begin, end)
    assert is_daily([7_200, DAY + 9_000, 3 * DAY + 7_200], begin, end)  # one night without
    assert not is_daily([7_200, DAY + 20_000, 2 * DAY + 7_200], begin, end)
    assert not is_daily([7_200, 9_000, DAY + 9_000], begin, end)
    assert not is_daily([2 * DAY, 3 * DAY], begin, end)
    assert not is_daily([7_200], begin, end)
