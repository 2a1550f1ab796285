"""What is usually spoken on a port, the same words on every system."""

from __future__ import annotations

import pytest

from flowbench.connections import SERVICE_PORTS
from flowbench.detect.base import port_name
from flowbench.detect.lateral_movement import DOORS
from flowbench.enrich import ports


@pytest.mark.parametrize(
    ("port", "protocol", "name"),
    [
        (22, 6, "ssh"), (22, 17, None), (53, 6, "dns"), (53, 17, "dns"), (123, 17, "ntp"),
        (443, 6, "https"), (443, 17, "https"), (3389, 6, "rdp"), (51820, 17, "wireguard"),
        (69, 17, "tftp"), (69, 6, None), (50_001, 6, None), (0, 1, None), (443, None, None),
    ],
)  # fmt: skip
def test_names(port, protocol, name) -> None:
    assert ports.name(port, protocol) == name


def test_aws_data_services() -> None:
    assert ports.aws(5439, 6) == ("Redshift",)
    assert ports.aws(5432, 6)[0] == "RDS for PostgreSQL"
    assert ports.aws(2049, 6) == ("EFS", "FSx")
    assert {port for port in range(9_000, 9_200) if "MSK" in ports.aws(port, 6)} == {
        9092, 9094, 9096, 9098, 9194, 9196, 9198,
    } & set(range(9_000, 9_200))  # fmt: skip
    assert (ports.aws(5439, 17), ports.aws(80, 6)) == ((), ())


def test_what_the_rest_of_flowbench_knows_has_a_name() -> None:
    assert {port for port in DOORS if ports.name(port, 6) is None} == set()
    assert {port for port in SERVICE_PORTS if ports.name(port, 6) is None} == {4444, 5555, 7777}


def test_every_entry_is_one_port_and_one_word() -> None:
    known = ports._names()
    assert len(known) > 150
    assert all(0 < port < 65_536 and protocol in (6, 17) for port, protocol in known)
    assert all(word == word.lower() and word.isascii() for word in known.values())


def test_as_a_sentence_says_it() -> None:
    assert port_name(3306, 6) == "3306/tcp (mysql)"
    assert port_name(40_000, 17) == "40000/udp"
    assert port_name(0, 1) == "icmp"
