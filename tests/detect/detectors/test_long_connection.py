"""Long-lived connections: those that are reported with their volume, and benign ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from flowbench import detect
from flowbench.case import Case
from flowbench.detect.detectors.long_connection import is_daily
from tests.traffic import FIELDS, T0, Record, connect, interface, make_case

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
    return detect.run(case_of(*given, **more), ["long-connection"]).to_pandas().to_dict("records")


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


@pytest.mark.parametrize(
    "records",
    [
        pytest.param(session(6, port=443, out=500_000, back=250_000), id="it answers"),
        pytest.param(session(6, port=443, out=500_000, back=900_000), id="in balance"),
        pytest.param(session(6, port=22, out=500_000, back=5_000_000), id="no web port"),
        pytest.param(session(13, port=443, out=100_000, back=900_000), id="waits all night"),
    ],
)
def test_web_sessions_that_are_reported(tmp_path, records: list[Record]) -> None:
    (one,) = found(tmp_path, *around(), *records)
    assert (one["severity"], one["subject"], one["peer"]) == ("low", HOST, PEER)
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


@pytest.mark.parametrize(
    "records",
    [
        pytest.param(session(3.5), id="short"),
        pytest.param(session(6, peer="10.0.0.6"), id="internal"),
        pytest.param(session(6, host=PEER, peer=HOST), id="from outside"),
        pytest.param(session(6, back=0)[::2], id="unanswered"),
        pytest.param(session(9, port=8883, out=9_000, back=9_000), id="mqtt"),
        pytest.param(session(9, port=993, out=9_000, back=9_000), id="mail"),
        pytest.param(session(9, port=123, protocol=17, out=9_000, back=9_000), id="ntp"),
        pytest.param([r for n in (5, 6, 7) for r in session(6, host=f"10.0.0.{n}")], id="shared"),
        pytest.param(
            [r for n in (5, 6, 7) for r in session(6, host=f"10.0.0.{n}", peer=f"203.0.113.{n}")],
            id="shared, an address for each",
        ),
        pytest.param(session(6, port=443, out=200_000, back=1_300_000), id="a chat"),
        pytest.param(
            session(6, host=SIX, peer="2001:db8:9::1", port=443, out=200_000, back=1_300_000),
            id="a chat over ipv6",
        ),
        pytest.param(session(20, port=443, out=900_000, back=60_000_000), id="a feed"),
        pytest.param([r for h in range(20) for r in session(0.5, at=h)], id="many short ones"),
        pytest.param(
            [r for d, at in enumerate((2, 1.6, 2.4)) for r in session(6, at=24 * d + at)],
            id="each night",
        ),
    ],
)  # fmt: skip
def test_benign_connections_are_not_reported(tmp_path, records: list[Record]) -> None:
    assert found(tmp_path, *around(60), *records) == []


def people(host: str = HOST) -> list[Record]:
    return [
        r for n in range(5) for r in connect(host, f"198.18.{n}.7", 443, T0, out=900, back=60_000)
    ]


@pytest.mark.parametrize(
    ("records", "count"),
    [
        pytest.param(session(6, port=443), 0, id="notifications"),
        pytest.param(session(11, port=80, out=500_000, back=90_000), 0, id="reports little"),
        pytest.param(session(6, port=443, out=60_000_000, back=200_000), 1, id="uploads"),
        pytest.param(session(13, port=443), 1, id="all night"),
        pytest.param(session(6, port=8443), 1, id="no web port"),
    ],
)
def test_sessions_on_web_ports_of_hosts_with_people(tmp_path, records, count: int) -> None:
    assert len(found(tmp_path, *around(), *people(), *records)) == count
    named = f"indicator,kind,feed\n{PEER},c2,list\n"
    assert len(found(tmp_path / "named", *around(), *people(), *records, indicators=named)) == 1


@pytest.mark.parametrize(
    ("hours", "size", "port", "count"),
    [(24, 90_000, 443, 0), (20, 90_000, 443, 1), (24, 90_000, 8443, 1), (24, 90_000_000, 443, 1)],
)
def test_a_session_as_long_as_the_host_is_its_function(tmp_path, hours, size, port, count) -> None:
    """``around`` shows the host for 30 hours."""
    records = session(hours, port=port, out=size, back=size // 2)
    assert len(found(tmp_path, *around(), *records)) == count
    cut = [r for n in range(4) for r in session(hours / 4 - 0.25, 2 + n * hours / 4, port=port,
                                                out=size // 4, back=size // 8)]  # fmt: skip
    assert len(found(tmp_path / "cut", *around(), *cut)) == count


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
