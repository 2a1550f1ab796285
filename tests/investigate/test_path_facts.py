"""Facts of a path: counts, and commands that are safe to paste."""

from __future__ import annotations

from flowbench.investigate import path_facts
from flowbench.investigate.path_facts import Path
from tests.investigate.test_path_causes import seen

ENDS = ("source", "destination")
PATH = Path("X", "Y", "tcp", 443, (), {})


def test_accepted_and_rejected_records_are_counted_by_place_and_direction() -> None:
    observations = (
        seen("source", "request", records=3),
        seen("source", "request", "REJECT", records=5, late=2),
        seen("source", "reply", records=7),
    )
    path = Path("X", "Y", "tcp", 443, observations, {})
    assert path.count_accepted("source", "request") == 3
    assert path.count_rejected("source", "request") == 3
    assert path.count_accepted("source", "reply") == 7
    assert path.count_rejected("destination", "request") == 0
    assert (path.name("source"), path.name("destination")) == ("X", "Y")


def test_checks_without_inventory_name_no_resource() -> None:
    assert path_facts.group_check(PATH, "source") == "aws ec2 describe-network-interfaces"
    assert path_facts.acl_check(PATH, "source") == "aws ec2 describe-network-acls"
    assert path_facts.route_check(PATH, "source") == "aws ec2 describe-route-tables"
    assert path_facts.flow_log_check(PATH, "source") == "aws ec2 describe-flow-logs"
    assert path_facts.listener_check(PATH) == "on Y: ss -lnt 'sport = :443'"


def test_hostile_names_are_quoted_for_the_shell() -> None:
    hostile = {"source": ("eni-1; rm -rf .",), "destination": ()}
    path = Path("X", "$(reboot)", "udp", 53, (), {}, hostile, hostile)
    assert path_facts.group_check(path, "source") == (
        "aws ec2 describe-network-interfaces --network-interface-ids 'eni-1; rm -rf .'"
    )
    assert path_facts.acl_check(path, "source").endswith(
        "--filters 'Name=association.subnet-id,Values=eni-1; rm -rf .'"
    )
    assert path_facts.listener_check(path) == "on '$(reboot)': ss -lnu 'sport = :53'"
