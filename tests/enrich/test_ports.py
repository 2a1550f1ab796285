"""What is usually spoken on a port, the same words on every system."""

from __future__ import annotations

import pytest

from flowbench.connections import SERVICE_PORTS
from flowbench.enrich import ports
from flowbench.enrich.ports import label


@pytest.mark.parametrize(
    ("port", "protocol", "name"),
    [
        (22, 6, "ssh"), (22, 17, None), (53, 6, "dns"), (53, 17, "dns"), (123, 17, "ntp"),
        (443, 6, "https"), (443, 17, "https"), (3389, 6, "rdp"), (51820, 17, "wireguard"),
        (69, 17, "tftp"), (69, 6, None), (50_001, 6, None), (0, 1, None), (443, None, None),
    ],
)  # fmt: skip
def test_names(port, protocol, name) -> None:
    assert ports.service_name(port, protocol) == name


def test_ports_of_sensitive_services() -> None:
    assert {3306, 5432, 5439, 2049, 6379, 9098, 27017} <= ports.DATA_PORTS
    assert {22, 3389, 5985, 445} <= ports.ADMIN_PORTS
    assert not {80, 443, 8080, 53} & (ports.DATA_PORTS | ports.ADMIN_PORTS)


def test_every_port_used_elsewhere_has_a_name() -> None:
    assert {
        port for port in ports.DATA_PORTS | ports.ADMIN_PORTS if ports.service_name(port, 6) is None
    } == set()
    assert {port for port in SERVICE_PORTS if ports.service_name(port, 6) is None} == {
        4444,
        5555,
        7777,
    }


def test_every_entry_is_one_port_and_one_word() -> None:
    known = ports._names()
    assert len(known) > 150
    assert all(0 < port < 65_536 and protocol in (6, 17) for port, protocol in known)
    assert all(word == word.lower() and word.isascii() for word in known.values())


def test_labels() -> None:
    assert label(3306, 6) == "3306/tcp (mysql)"
    assert label(40_000, 17) == "40000/udp"
    assert label(0, 1) == "icmp"


def test_services_by_name() -> None:
    by_name = ports.service_names()
    assert by_name["dns"] == [(53, 6), (53, 17)]
    assert by_name["ssh"] == [(22, 6)]
    assert by_name["http-alt"][0] == (8000, 6)
