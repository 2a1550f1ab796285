"""Lateral movement: who goes through inside doors that are not its own?

Question: which inside host was refused at the admin and data ports of its neighbours, or opened
such doors that nobody like it used to open?

Method: doors are the ports of remote administration and of the AWS data services (enrich.ports).
Refused and never once answered is a try: a refusal between two hosts that otherwise talk is a
straggler or a lapse. So is what is refused by one door every hour, on average, from the first hours
of the logs to the last: a broken setting, not a search. Two services or three targets make a
pattern. Accepted doors are held against a learning span, as published for new pairs of inside
hosts: the first half of the logs, a day at least and a week at most. A pair of hosts that first
talked after it is a new path, unless its like was usual: the host already opened that port to two
hosts of the target's network (one, if the target is new) or to five hosts anywhere (a bastion, a
monitor); two of its neighbours went through that same door (one, if the host is new: a group that
grew); three hosts began to call that door (a service that moved). Networks are /24 and /64,
whatever the subnets are. A host that is itself new has no past: it counts from three targets on.
And new must be rare: a host's new doors count when they are more than three times what it, or the
average host, opened anew in the second half of the learning span, over as long a time. Where hosts
go through new doors every day, newness says little.

One new path is low; three targets, or a host that was itself reached through a new admin door
before, medium; both, or eight targets, high. Refusals tell more: medium, as a pattern high.

Logs of less than a day and a half teach nothing. Then refusals count, and the host that opens admin
doors of eight others after the first hour (low: a bastion does so too).

Fires falsely: an application deployed before its security group was opened, a vulnerability scanner
of one's own, a host that was given a new task, monthly work. Cannot see: what went on in the
learning span already, a path that the host's neighbours use too, tries at an interface without flow
logs if the refusal is logged nowhere else, SSM sessions (443 to AWS), who knocks at one or two
doors without pause since before the logs begin.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ibis
import pandas as pd
import pyarrow as pa
from ibis import _

from flowbench.detect.detector import Detector
from flowbench.detect.finding import SEVERITIES, Finding, limit_low, make_finding, sum_traffic
from flowbench.enrich import ports
from flowbench.enrich.inventory import AssignmentLookup
from flowbench.enrich.ports import label
from flowbench.schema import to_frame
from flowbench.text import format_count, format_duration

if TYPE_CHECKING:
    from collections.abc import Callable

    from flowbench.case import Case

DOORS = ports.ADMIN_PORTS | ports.DATA_PORTS

_DAY = 86_400
_HOUR, _EDGE = pd.Timedelta(hours=1), pd.Timedelta(hours=2)
_LAPSE, _BROKEN = 20, 2  # hours of logs at least, doors of a host at most
_SHOWN = 8  # doors named in a sentence
_ORDER = ["initiator", "responder", "service_port", "protocol"]
_COLUMNS = [*_ORDER, "first_seen", "last_seen", "connections", "rejected", "answered"]
_COLUMNS += ["bytes_out", "bytes_in"]
_TITLES = {"new": "New paths to inside doors", "admin": "Many inside doors opened"}
_KEYS = ["service_port", "protocol"]


DETECTOR = Detector(
    id="lateral-movement",
    title="Refused at inside doors",
    question="Which inside host tried or newly opened admin and data ports of its neighbours?",
    technique="T1021",
    needs=frozenset({"srcaddr", "dstaddr", "dstport", "start", "end", "action"}),
)


def find(
    case: Case,
    *,
    many_targets: int = 3,
    many_services: int = 2,
    wide: int = 8,
    habit: int = 5,
    factor: float = 3,
    most_low: int = 20,
) -> list[Finding]:
    """One finding per inside host, for all it was refused at and all it newly opened.

    ``many_targets`` hosts, or ``many_services`` ports that refused it, make a pattern; ``wide``
    hosts a spread. ``habit``: hosts to which a port must be opened for that to be a host's trade.
    ``factor``: how many times more than to be expected new doors must be. ``most_low``: so many
    findings of severity low are told, those with most targets.
    """
    p = case.connection_summaries
    ends = p.aggregate(first=p.first_seen.min(), last=p.last_seen.max()).to_pandas().iloc[0]
    if pd.isna(ends["first"]):
        return []
    seconds = (ends["last"] - ends["first"]).total_seconds()
    learned = seconds >= 1.5 * _DAY
    doors = p.filter(p.direction == "internal", p.service_port.isin(sorted(DOORS)), ~p.intermediate)
    with case.kept(doors.select(_COLUMNS)) as doors:
        tried = _rows(doors.filter(doors.rejected > 0, doors.answered == 0))
        tried = tried[~_lapses(tried, ends["first"], ends["last"])]
        if learned:
            lesson = min(7 * _DAY, max(_DAY, seconds / 2))
            taught_at = ends["first"] + pd.Timedelta(seconds=lesson)
            opened = _new(p, doors, taught_at, habit)
            expected = _expected(doors, taught_at, lesson / 2, seconds - lesson)
            count = opened.groupby("initiator")["responder"].transform("size")
            opened = opened[count > factor * expected(opened["initiator"])]
            taught = (
                f"Usual is what the first {format_duration(lesson)} of the logs show, good or bad."
            )
            # What a new host opens has nothing to be held against: only how much it is tells.
            spread = opened.groupby("initiator")["responder"].transform("nunique") >= many_targets
            opened = opened[opened["known"] | spread]
        else:
            hour = ends["first"] + pd.Timedelta(hours=1)
            admin = doors.service_port.isin(sorted(ports.ADMIN_PORTS))
            opened = _rows(doors.filter(admin, doors.answered > 0, doors.first_seen >= hour))
            opened = opened[opened.groupby("initiator")["responder"].transform("nunique") >= wide]
            taught = (
                f"The logs span {format_duration(seconds)}, too short to learn which paths are"
                f" usual: only"
                " refusals and the number of doors count here."
            )
    subjects = sorted({*tried["initiator"], *opened["initiator"]})
    if not subjects:
        return []
    book = AssignmentLookup(
        case.address_assignments, pd.concat([tried["responder"], opened["responder"]])
    )
    limits = many_targets, many_services, wide
    by_host = [dict(list(rows.groupby("initiator"))) for rows in (tried, opened)]
    found = [
        _finding(
            by_host[0].get(subject, tried.iloc[:0]),
            by_host[1].get(subject, opened.iloc[:0]),
            _stepped(subject, opened) if learned else None,
            book,
            limits,
            learned,
            taught,
        )
        for subject in subjects
    ]
    return limit_low(
        found,
        most_low,
        lambda finding: (-len(finding.peers), finding.subject),
        "hosts have such paths",
    )


def _rows(pairs: ibis.Table) -> pd.DataFrame:
    return to_frame(pairs.order_by(_ORDER).to_pyarrow())


def _lapses(tried: pd.DataFrame, begin: pd.Timestamp, end: pd.Timestamp) -> pd.Series:
    """Whether a door refuses one caller hour by hour, all through logs of about a day or more."""
    hours = (end - begin) / _HOUR
    throughout = (tried["first_seen"] - begin <= _EDGE) & (end - tried["last_seen"] <= _EDGE)
    steady = throughout & (tried["rejected"] >= hours) & (hours >= _LAPSE)
    return steady & (steady.groupby(tried["initiator"]).transform("sum") <= _BROKEN)


def _new(p: ibis.Table, doors: ibis.Table, learned: pd.Timestamp, habit: int) -> pd.DataFrame:
    """Doors that opened for the first time after ``learned``, without those that were to expect.

    Columns: those of ``doors`` and known, whether the initiator was seen before. What cuts most
    goes first, and only what is left is held against the networks at both ends.
    """
    opened = doors.filter(doors.answered > 0, doors.protocol.notnull())
    new = opened.filter(opened.first_seen >= learned)
    old = opened.filter(opened.first_seen < learned)
    moved = new.group_by("responder", *_KEYS).having(_.count() >= 3)
    trade = old.group_by("initiator", *_KEYS).having(_.count() >= habit)
    few = new.anti_join(moved.aggregate(), ["responder", *_KEYS])
    few = few.anti_join(trade.aggregate(), ["initiator", *_KEYS])
    rows = few = few.mutate(near=_network(few.initiator), there=_network(few.responder))
    for name, end, far, network in (
        ("in_there", "initiator", "responder", "there"),
        ("alike", "responder", "initiator", "near"),
    ):
        like = old.semi_join(few, [end, *_KEYS])
        like = like.group_by(end, *_KEYS, **{network: _network(like[far])})
        rows = rows.left_join(like.aggregate(**{name: _.count()}), [end, network, *_KEYS])
        rows = rows.drop(*(column for column in rows.columns if column.endswith("_right")))
    rows = _rows(rows)
    known = _seen(p, doors, learned, {*rows["initiator"], *rows["responder"]})
    rows["known"] = rows["initiator"].isin(known)
    # A target, or a host, that is new itself needs one example of its like, not two.
    own = rows["in_there"].fillna(0) > rows["responder"].isin(known)
    groups = rows["alike"].fillna(0) > rows["known"]
    return rows[~own & ~groups]


def _seen(p: ibis.Table, doors: ibis.Table, before: pd.Timestamp, hosts: set[str]) -> set[str]:
    """Which of these hosts the logs show before that time.

    Nearly all went through some inside door then: only the others are looked for in all pairs.
    """
    old, past = (table.filter(table.first_seen < before) for table in (doors, p))
    calls = past.filter(past.direction.isin(["internal", "outbound"]))
    called = past.filter(past.direction.isin(["internal", "inbound"]))
    found: set[str] = set()
    for ours, theirs in ((old, old), (calls, called)):
        if left := hosts - found:
            wanted = ibis.memtable({"host": pa.array(sorted(left), pa.string())})
            ends = ours.select(host="initiator").union(theirs.select(host="responder"))
            ends = ends.semi_join(wanted, "host").distinct()
            found |= set(ends.to_pyarrow()["host"].to_pylist())
    return found


def _expected(
    doors: ibis.Table, learned: pd.Timestamp, before: float, after: float
) -> Callable[[pd.Series], pd.Series]:
    """How many new doors each host would open in ``after`` seconds if it went on as it did.

    That is, as in the ``before`` seconds until ``learned``; no less than the hosts' mean.
    """
    answered = doors.filter(doors.answered > 0, doors.first_seen < learned)
    late = answered.first_seen >= learned - pd.Timedelta(seconds=before)
    rows = to_frame(answered.group_by("initiator").aggregate(late=late.sum()).to_pyarrow())
    own = rows.set_index("initiator")["late"].astype(float) * after / before
    mean = own.mean() if len(own) else 0.0
    return lambda hosts: hosts.map(own).astype(float).fillna(0.0).clip(lower=mean)


def _network(address: ibis.Value) -> ibis.Value:
    """The /24 or /64 of an address; of an IPv6 one whose first half is shortened, nearly."""
    return address.re_extract(r"^(\d+\.\d+\.\d+\.|(?:[0-9a-f]*:){4}|.*:)", 1)


def _stepped(subject: str, opened: pd.DataFrame) -> pd.Series | None:
    """The new admin path by which a host was reached before it opened new ones itself."""
    mine = opened.loc[opened["initiator"] == subject, "first_seen"].min()
    to_it = opened[
        (opened["responder"] == subject) & opened["service_port"].isin(ports.ADMIN_PORTS)
    ]
    to_it = to_it[to_it["first_seen"] <= mine].sort_values(["first_seen", "initiator"])
    return None if to_it.empty else to_it.iloc[0]


def _finding(
    tried: pd.DataFrame,
    opened: pd.DataFrame,
    stepped: pd.Series | None,
    book: AssignmentLookup,
    limits: tuple[int, int, int],
    learned: bool,
    taught: str,
) -> Finding:
    many_targets, many_services, wide = limits
    both = pd.concat([part for part in (tried, opened) if len(part)])
    subject = both["initiator"].iloc[0]
    targets, services = tried["responder"].nunique(), tried["service_port"].nunique()
    reached, what = opened["responder"].nunique(), "new" if learned else "admin"
    words, caveats, severities, scores = [], [], ["low"], []
    if len(tried):
        severities.append(
            "high" if targets >= many_targets or services >= many_services else "medium"
        )
        scores.append(0.4 + 0.1 * targets + 0.15 * services)
        words.append(
            f"{subject} was refused {format_count(int(tried['refused'].sum()), 'time')} at"
            f" {format_count(len(tried), 'inside door')} within {_within(tried)} and never once"
            f" answered"
            f" there: {_doors(tried, book, 'rejected')}."
        )
        caveats.append(
            "A refusal shows the try, not the intent: a new service whose security group is not"
            " open yet looks the same. The subject's own records of these packets say ACCEPT: its"
            " side let them out, the other refused them."
        )
    if len(opened):
        scores.append(0.2 + 0.1 * reached)
        words.append(
            f"{subject} opened {format_count(len(opened), f'{what} inside door')} of"
            f" {format_count(reached, 'host')} within {_within(opened)}:"
            f" {_doors(opened, book, 'connections')}."
        )
        caveats.append("Answered is not logged in; a host that was given a new task looks so too.")
        if learned and reached >= many_targets:
            severities.append("high" if reached >= wide or stepped is not None else "medium")
    if stepped is not None:
        severities.append("medium")
        words.append(
            f"It had itself been reached through a new door before, from {stepped['initiator']} on"
            f" {label(stepped['service_port'], stepped['protocol'])} at"
            f" {stepped['first_seen']:%Y-%m-%d %H:%M} UTC."
        )
    return make_finding(
        DETECTOR,
        subject,
        both["responder"],
        sum_traffic(both),
        severity=max(severities, key=SEVERITIES.index),
        score=min(1.0, max(scores)),
        summary=" ".join(words),
        caveats=" ".join([*caveats, *([taught] if len(opened) or not learned else [])]),
        title=None if len(tried) else _TITLES[what],
    )


def _within(rows: pd.DataFrame) -> str:
    return format_duration((rows["last_seen"].max() - rows["first_seen"].min()).total_seconds())


def _doors(rows: pd.DataFrame, book: AssignmentLookup, count: str) -> str:
    """The doors in words, each with its owner and how often."""
    told = [
        f"{_owner(book.at(row['responder'], row['first_seen']))}{row['responder']} on"
        f" {label(row['service_port'], row['protocol'])} {row[count]}x"
        for row in rows.head(_SHOWN).to_dict("records")
    ]
    return "; ".join(told) + (f"; and {len(rows) - _SHOWN} more" if len(rows) > _SHOWN else "")


def _owner(known: dict[str, Any] | None) -> str:
    words = [known[name] for name in ("service", "name") if known[name]] if known else []
    return f"{words[0].upper()} {' '.join(words[1:])} ".replace("  ", " ") if words else ""
