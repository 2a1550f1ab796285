"""The history of one interface: attachments in order, periods, merged details."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from flowbench.enrich.interface_events import Origin
from flowbench.enrich.interface_history import Attachment, History, Sighting

NOON = datetime(2026, 9, 1, 12, tzinfo=UTC)


def at(hours: float) -> datetime:
    return NOON + timedelta(hours=hours)


def test_attachments_follow_each_other() -> None:
    history = History()
    interface = history.interface("eni-a")
    interface.attached = [Sighting(at(5), at(5), "i-2"), Sighting(at(1), at(1), "i-1")]
    interface.detached = [at(4)]
    assert interface.attachments(history) == [
        Attachment(at(1), at(4), "i-1"),
        Attachment(at(5), None, "i-2"),
    ]
    assert interface.periods(history) == [
        Attachment(at(1), at(4), "i-1"),
        Attachment(at(4), at(5), None),
        Attachment(at(5), None, "i-2"),
    ]


def test_seen_with_an_instance_since_an_unknown_time() -> None:
    history = History()
    interface = history.interface("eni-a")
    interface.attached = [Sighting(None, at(3), "i-1")]
    assert interface.attachments(history) == [Attachment(None, None, "i-1")]
    interface.attached.append(Sighting(None, at(6), "i-2"))
    assert interface.attachments(history) == [
        Attachment(None, at(6), "i-1"),
        Attachment(at(6), None, "i-2"),
    ]


def test_a_terminated_instance_ends_its_interface_unless_it_outlives_it() -> None:
    for outlives in (False, True):
        history = History()
        interface = history.interface("eni-a")
        interface.created_at = at(0)
        interface.attached = [Sighting(at(0), at(0), "i-1")]
        if outlives:
            interface.details.append(((at(0), "s", 1), {"ends_with_instance": False}))
        history.terminate("i-1", at(8))
        history.terminate("i-1", at(9))  # a second call does not count
        expected = [Attachment(at(0), at(8), "i-1")]
        if outlives:
            expected.append(Attachment(at(8), None, None))
        assert interface.periods(history) == expected


def test_a_deleted_interface_has_no_later_period() -> None:
    history = History()
    interface = history.interface("eni-a")
    interface.delete(at(6))
    interface.delete(at(4))
    assert interface.periods(history) == [Attachment(None, at(4), None)]
    interface.attached = [Sighting(at(1), at(1), "i-1"), Sighting(at(5), at(5), "i-2")]
    assert interface.periods(history) == [Attachment(at(1), at(4), "i-1")]


def test_the_newest_details_win_but_nothing_erases() -> None:
    interface = History().interface("eni-a")
    interface.details = [
        ((at(2), "s", 1), {"name": "new", "vpc_id": None, "public_addresses": []}),
        ((at(1), "s", 1), {"name": "old", "vpc_id": "vpc-1", "public_addresses": ["192.0.2.1"]}),
    ]
    merged = interface.merged_details()
    assert (merged["name"], merged["vpc_id"]) == ("new", "vpc-1")
    assert merged["public_addresses"] == ["192.0.2.1"]
    assert merged["tags"] is None


def test_an_assignment_names_its_best_source_and_its_tags() -> None:
    history = History()
    interface = history.interface("eni-a")
    interface.add_address("10.0.0.5", None)
    interface.add_sign(at(2), at(3))
    interface.attached = [Sighting(None, at(2), "i-1")]
    interface.origins = {("logs", "i-1"): Origin(), ("cloudtrail", "i-1"): Origin("s", 7, 1)}
    history.tags = {"i-1": {"Name": "web", "env": "dev"}, "eni-a": {"env": "prod"}}
    (assignment,) = interface.assignments(history)
    assert (assignment.known_from, assignment.origin) == ("cloudtrail", Origin("s", 7, 1))
    assert (assignment.name, dict(assignment.tags)["env"]) == ("web", "prod")
    assert (assignment.service, assignment.first_sign) == ("ec2", at(2))
    assert assignment.key == "eni-a"


def test_an_address_that_was_unassigned_before_it_was_attached() -> None:
    history = History()
    interface = history.interface(None, "i-1")
    interface.addresses = {"10.0.0.5": [at(1), at(2)], "10.0.0.6": [at(4), None]}
    interface.attached = [Sighting(at(3), at(3), "i-1")]
    assert [a.address for a in interface.assignments(history)] == ["10.0.0.6"]
    assert history.interface(None, "i-1") is interface
