"""Records of a path: duplicates, late packets, flags, and the place where they were made."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowbench.case import Case
from flowbench.investigate.filters import Filters
from flowbench.investigate.path_records import End, count_logged, observe
from tests.traffic import T0, Record, make_case

X = End("source", ("10.0.1.5",), ("eni-x",))
Y = End("destination", ("10.0.2.9",), ("eni-y",))
SYN = Record("10.0.1.5", "10.0.2.9", 40_000, 443, T0, T0 + 59, tcp_flags=2, interface_id="eni-x")
SKIPPED = Record("-", "-", 0, 0, T0, T0 + 300, interface_id="eni-y", log_status="SKIPDATA")


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    at_y = {"interface_id": "eni-y"}
    records = [
        SYN,
        SYN,  # of another flow log
        SYN.back(**at_y, tcp_flags=18, bytes=40 * 5),
        SYN.back(**at_y, tcp_flags=4, start=T0 + 60, end=T0 + 119),
        SYN.back(**at_y, action="REJECT", start=T0 + 120, end=T0 + 179),
        Record("10.0.1.5", "10.0.2.9", 40_001, 443, T0, T0 + 59, action="REJECT", tcp_flags=2),
        # Through a transit gateway, and none of the path.
        Record(
            *("10.0.9.1", "10.0.9.2", 40_002, 443, T0, T0 + 59),
            pkt_srcaddr="10.0.1.5",
            pkt_dstaddr="10.0.2.9",
            interface_id="eni-t",
        ),
        Record("10.0.1.5", "10.0.2.9", 40_000, 80, T0, T0 + 59),
        Record("10.0.1.5", "10.0.2.9", 40_000, 443, T0, T0 + 59, protocol=17),
        SKIPPED,
    ]
    return make_case(tmp_path_factory.mktemp("path"), records)


def test_what_the_records_say(case: Case) -> None:
    found = observe(case, X, Y, 6, 443, Filters())
    assert [(o.place, o.interface_id, o.direction, o.action, o.records) for o in found] == [
        ("source", "eni-x", "request", "ACCEPT", 1),
        ("between", "eni-a", "request", "REJECT", 1),
        ("between", "eni-t", "request", "ACCEPT", 1),
        ("destination", "eni-y", "reply", "ACCEPT", 2),
        ("destination", "eni-y", "reply", "REJECT", 1),
    ]
    replies, late = found[3:]
    assert (replies.syn_acks, replies.resets, replies.without_data) == (1, 1, 1)
    assert (replies.first_port, replies.last_port, replies.line) == (40_000, 40_000, 4)
    assert (late.late, found[1].late) == (1, 0)
    assert str(replies.last_seen) == "2026-09-01 00:01:59+00:00"


def test_icmp_has_no_ports(tmp_path: Path) -> None:
    ping = Record("10.0.1.5", "10.0.2.9", 0, 0, T0, T0 + 9, protocol=1, interface_id="eni-y")
    case = make_case(tmp_path, [ping, ping.back()])
    found = observe(case, X, Y, 1, None, Filters())
    assert [(o.direction, o.resets) for o in found] == [("request", None), ("reply", None)]


def test_records_of_an_end(case: Case) -> None:
    counts = count_logged(case, Y, Filters())
    assert counts == {
        "records": 4,
        "nodata": 0,
        "skipdata": 1,
        "long": 1,
        "accepted": 3,
        "rejected": 1,
    }
    nobody = End("source", (), ())
    assert set(count_logged(case, nobody, Filters()).values()) == {0}
    assert observe(case, nobody, Y, 6, 443, Filters()) == []
