"""Ports of logins and of databases."""

from __future__ import annotations

from flowbench.detect.logins import DATABASES, LOGINS
from flowbench.enrich.ports import service_name


def test_ports_are_of_known_services_and_in_one_table_only() -> None:
    assert not LOGINS.keys() & DATABASES.keys()
    names = {port: service_name(port, 6) for port in LOGINS | DATABASES}
    assert all(names.values())
    assert (names[22], names[3389], names[5432]) == ("ssh", "rdp", "postgresql")


def test_a_login_attempt_has_more_than_a_banner() -> None:
    assert all(100 < least < 2_000 for least in (LOGINS | DATABASES).values())
