"""Why a packet does not get through: the causes that fit what flow log records say.

A security group is stateful: it lets replies to accepted requests pass, so that a rejected reply
means a network ACL, which is stateless. A REJECT record does not name the control that denied it.
An accepted packet that the other end's logged interface never saw was lost between the two.
Source: Amazon VPC User Guide, "Flow log record examples" (security group and network ACL rules).
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from flowbench.investigate.path_facts import (
    Cause,
    Path,
    acl_check,
    flow_log_check,
    group_check,
    listener_check,
    route_check,
)
from flowbench.investigate.path_rules import Ruling
from flowbench.text import format_count

_REASONS = {"BPA": "VPC Block Public Access", "EC": "VPC encryption control"}


def find_causes(path: Path) -> list[Cause]:
    """Return the causes that fit, the most likely first."""
    steps = [(p, "request") for p in ("source", "destination")]
    steps += [(p, "reply") for p in ("destination", "source")]
    causes = [cause for step in steps for cause in _explain_reject(path, *step)]
    causes += _explain_reject_between(path)
    if not causes:
        causes = [*_explain_silence(path)]
    order = ("high", "medium", "low")
    return sorted(causes, key=lambda cause: order.index(cause.confidence))


def _explain_reject(path: Path, place: str, direction: str) -> Iterator[Cause]:
    count = path.count_rejected(place, direction)
    if not count:
        return
    rejected = [o for o in path.select(place, direction) if o.action == "REJECT"]
    what = f"{format_count(count, f'{direction} record')} at {path.name(place)} rejected"
    reasons = sorted({reason for o in rejected for reason in o.reject_reasons})
    for reason in reasons:
        control = _REASONS.get(reason, f"reject reason {reason}")
        yield Cause(
            control,
            place,
            "high",
            f"The flow log has {what}; the records give the reason {reason}.",
            check="aws ec2 describe-vpc-block-public-access-options" if reason == "BPA" else "",
        )
    if reasons:
        return
    acl = path.network_acl(place, direction)
    if direction == "reply" and path.count_accepted(place, "request"):
        yield Cause(
            "network ACL",
            place,
            "medium" if acl.answer == "allows" else "high",
            f"The flow log has {what} and accepted requests there: security groups are stateful,"
            " so the stateless network ACL denies the reply's ports.",
            acl.rules,
            acl_check(path, place),
        )
        return
    group = path.security_group(place, direction)
    for control, own, other, check in (
        ("security group", group, acl, group_check(path, place)),
        ("network ACL", acl, group, acl_check(path, place)),
    ):
        yield Cause(
            control,
            place,
            _judge(own, other),
            f"The flow log has {what}. {_describe_ruling(control, own)}",
            own.rules,
            check,
        )


def _explain_reject_between(path: Path) -> Iterator[Cause]:
    """Name the interfaces of neither end that rejected: of gateways, appliances, former owners."""
    for o in path.observations:
        if o.place == "between" and o.action == "REJECT" and o.records > o.late:
            count = format_count(o.records - o.late, f"{o.direction} record")
            name = o.interface_id or "without an id"
            yield Cause(
                "intermediate device",
                "between",
                "medium",
                f"The flow log has {count} rejected at an interface of neither end ({name}): its"
                " security group or its subnet's network ACL.",
                check="aws ec2 describe-network-interfaces"
                + (f" --network-interface-ids {shlex.quote(name)}" if o.interface_id else ""),
            )


def _judge(own: Ruling, other: Ruling) -> str:
    if own.answer == "denies":
        return "high"
    if own.answer == "allows" or other.answer == "denies":
        return "low"
    return "high" if other.answer == "allows" else "medium"


def _describe_ruling(control: str, ruling: Ruling) -> str:
    if ruling.answer == "unknown":
        return f"The case has no {control} rules that decide it."
    verb = "deny" if ruling.answer == "denies" else "allow"
    return f"The recorded {control} rules {verb} it."


def _explain_silence(path: Path) -> Iterator[Cause]:
    """Explain what no REJECT explains: where requests or replies were last seen."""
    replies = sum(path.count_accepted(place, "reply") for place in ("source", "destination"))
    if not any(o.action != "REJECT" for o in path.observations):
        yield from _explain_no_records(path)
    elif replies:
        yield from _explain_replies(path)
    elif path.count_accepted("destination", "request"):
        yield from _explain_no_reply(path)
    else:
        yield from _explain_lost_request(path)


def _explain_no_records(path: Path) -> Iterator[Cause]:
    logged = {place: path.logged[place]["records"] for place in ("source", "destination")}
    if logged["source"]:
        yield Cause(
            "sender",
            "source",
            "medium",
            f"No record of a packet from {path.source} to the port of {path.destination}, though"
            f" its interfaces have {format_count(logged['source'], 'record')}: it sent none, or to"
            " another address or port.",
            check=f"on {shlex.quote(path.source)}: ip route get {shlex.quote(path.destination)}",
        )
        if not path.logged["source"]["rejected"]:
            reason = "its records have no REJECT, and perhaps only ACCEPT is recorded"
            yield _logging_cause(path, "source", "low", reason)
    elif logged["destination"]:
        yield Cause(
            "route",
            "between",
            "medium",
            f"No record of a packet from {path.source} at the interfaces of {path.destination},"
            f" which have {format_count(logged['destination'], 'record')}: none arrived.",
            path.route("source").rules,
            route_check(path, "source"),
        )
    else:
        yield _logging_cause(path, "source", "high", "neither end's interfaces have records")
    for place in ("source", "destination"):
        if path.logged[place]["skipdata"]:
            yield _logging_cause(path, place, "low", "AWS left out records (SKIPDATA)")


def _explain_lost_request(path: Path) -> Iterator[Cause]:
    if not path.interfaces["destination"]:
        yield Cause(
            "unknown beyond the source",
            "between",
            "medium",
            f"{path.source} sent accepted requests and got no reply; {path.destination} has no"
            " logged interface, so that its side is unknown.",
            path.route("source").rules,
            route_check(path, "source"),
        )
    elif not path.logged["destination"]["records"]:
        yield _logging_cause(path, "destination", "high", "its interfaces have no records")
    else:
        ruling = path.route("source")
        yield Cause(
            "route",
            "between",
            {"denies": "high", "unknown": "medium", "allows": "low"}[ruling.answer],
            f"Requests left {path.source} accepted, and no record at {path.destination} has them:"
            " a route, NAT gateway, peering connection or transit gateway lost them, or changed"
            f" their addresses. {_describe_ruling('route', ruling)}",
            path.route("source").rules,
            route_check(path, "source"),
        )
        if path.logged["destination"]["skipdata"]:
            yield _logging_cause(path, "destination", "low", "AWS left out records (SKIPDATA)")


def _explain_no_reply(path: Path) -> Iterator[Cause]:
    acl = path.network_acl("destination", "reply")
    if acl.answer == "denies" and not path.logged["destination"]["rejected"]:
        yield Cause(
            "network ACL",
            "destination",
            "medium",
            "Requests arrived accepted, and no reply is recorded; the recorded network ACL denies"
            " replies, and the flow log perhaps records only ACCEPT.",
            acl.rules,
            acl_check(path, "destination"),
        )
    silence = " Many UDP services do not answer." if path.protocol == "udp" else ""
    yield Cause(
        "listener",
        "destination",
        "low" if path.protocol == "udp" else "medium",
        f"Requests arrived accepted at {path.destination}, and it sent no reply: its own firewall"
        f" drops them, or it or the service is down.{silence}",
        check=listener_check(path),
    )
    if path.logged["destination"]["skipdata"]:
        yield _logging_cause(path, "destination", "low", "AWS left out records (SKIPDATA)")


def _explain_replies(path: Path) -> Iterator[Cause]:
    if not path.count_accepted("source", "reply") and path.logged["source"]["records"]:
        ruling = path.route("destination")
        yield Cause(
            "return path",
            "between",
            {"denies": "high", "unknown": "medium", "allows": "low"}[ruling.answer],
            f"{path.destination} sent accepted replies, and no record at {path.source} has them:"
            f" the way back lost them. {_describe_ruling('route', ruling)}",
            path.route("destination").rules,
            route_check(path, "destination"),
        )
        return
    replies = [o for o in path.observations if o.direction == "reply" and o.action != "REJECT"]
    resets = sum(o.resets or 0 for o in replies)
    syn_acks = sum(o.syn_acks or 0 for o in replies)
    has_flags = any(o.resets is not None for o in replies)
    if path.protocol != "tcp":
        yield Cause("none", "destination", "high", "Requests were accepted and answered.")
    elif has_flags and resets and not syn_acks:
        yield Cause(
            "listener",
            "destination",
            "high",
            f"{path.destination} answered with RST and no SYN-ACK: nothing listens on the port.",
            check=listener_check(path),
        )
    elif has_flags and resets:
        yield Cause(
            "application",
            "destination",
            "medium",
            f"{path.destination} completed handshakes (SYN-ACK), and connections ended by RST.",
            check=listener_check(path),
        )
    elif not syn_acks and all(o.without_data == o.records for o in replies):
        yield Cause(
            "listener",
            "destination",
            "medium" if not has_flags else "low",
            "Every reply has the size of headers only, as a RST has: perhaps nothing listens.",
            check=listener_check(path),
        )
    else:
        sure = "high" if syn_acks else "medium"
        what = "handshakes completed (SYN-ACK)" if syn_acks else "replies were larger than headers"
        yield Cause("none", "destination", sure, f"Requests were accepted and answered: {what}.")


def _logging_cause(path: Path, place: str, confidence: str, reason: str) -> Cause:
    return Cause(
        "logging",
        place,
        confidence,
        f"The flow logs cannot tell what happened at {path.name(place)}: {reason}.",
        check=flow_log_check(path, place),
    )
