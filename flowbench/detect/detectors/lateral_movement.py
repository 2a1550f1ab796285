"""Lateral movement: rejected and new connections between internal hosts.

Question: which internal host was rejected at administration or data services of other internal
hosts, or opened connections to such services that neither it nor its neighbours used before?

Method: services are the ports of remote administration and of the AWS data services (enrich.ports).

* Rejected: a host was rejected at a service and never answered there. Left out is what one service
  rejects every hour, on average, from the first two hours of the logs to the last, as after a wrong
  setting. Two ports or three targets make a pattern.
* New: a pair of hosts that first had an answered connection after the baseline period
  (detect.baseline). Left out are pairs to be expected: the host already used that port at two hosts
  of the target's subnet (at one, if the target is new) or at five hosts anywhere; two hosts of its
  own subnet used that service (one, if the host is new); three hosts began to use that service. A
  host that is itself new counts from three targets on. The new services of a host must be more than
  three times those that it, or the average host, began to use in the second half of the baseline
  period, scaled to the length of the logs after it. Subnets are taken as /24 and /64.
* Sudden: hosts that the logs show for less than a day and a half have no baseline, nor has any host
  in logs that are shorter (detect.sudden_connections). Of these, after 15 min in the logs, new
  connections count that are opened within an hour to three kinds of service of one target (SMB,
  RPC, WinRM, RDP, SSH, one database or another), or to four targets (clusters excepted, whose
  clients connect to each node). Left out are services with three clients, as those of a domain
  controller, and ports that the host already used at two targets, as a management host does. Also
  counted are administration connections of a host to eight others after the first hour of logs that
  are shorter. The kinds of service are those of the sub-techniques of ATT&CK T1021; the thresholds
  are this project's, above what starting hosts, administrators and domain members reach.

Severity: new connections are low; three targets, or a host that was itself reached by a new
administration connection before, medium; both, or eight targets, high. Without a baseline they are
low, or medium after such a connection to the host itself. Rejected attempts are medium, a pattern
of them high.

False positives: an application deployed before its security group was opened, an authorised
vulnerability scanner, a host with a new task, monthly work; without a baseline also the first run
of an administrator or a configuration management in the logs.

Limitations: not detected are paths in use during the baseline period, paths that the host's
neighbours use too, attempts at an interface without flow logs, SSM sessions (443 to AWS), and
attempts at one or two services that go on since before the logs begin; without a baseline, one
connection at a time, and those of a host in its first 15 min.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis
import pandas as pd
from ibis import _

from flowbench.detect.baseline import Baseline, find_baseline
from flowbench.detect.detector import Detector
from flowbench.detect.finding import SEVERITIES, Finding, limit_low, make_finding, sum_traffic
from flowbench.detect.internal_services import baseline_note, describe_outcome, list_services
from flowbench.detect.new_connections import find_new_connections
from flowbench.detect.sudden_connections import Limits, find_sudden_connections
from flowbench.enrich.inventory import AssignmentLookup
from flowbench.enrich.ports import ADMIN_PORTS, DATA_PORTS, label
from flowbench.schema import to_frame
from flowbench.text import format_count, format_period, format_utc

if TYPE_CHECKING:
    from flowbench.case import Case

DETECTOR = Detector(
    id="lateral-movement",
    title="Rejected internal connection attempts",
    question="Which internal hosts had connections to other internal services rejected, or opened"
    " connections to services that they had not used before?",
    technique="T1021",
    needs=frozenset({"srcaddr", "dstaddr", "dstport", "start", "end", "action"}),
)

SERVICE_PORTS = ADMIN_PORTS | DATA_PORTS

_HOUR, _EDGE = pd.Timedelta(hours=1), pd.Timedelta(hours=2)
_CONSTANT_HOURS, _CONSTANT_SERVICES = 20, 2  # least hours of logs, most services of a host
_ORDER = ["initiator", "responder", "service_port", "protocol"]
_COLUMNS = [*_ORDER, "first_seen", "last_seen", "connections", "rejected", "answered"]
_COLUMNS += ["bytes_out", "bytes_in"]


def find(  # noqa: PLR0913  # the thresholds
    case: Case,
    *,
    many_targets: int = 3,
    many_services: int = 2,
    wide: int = 8,
    baseline_hosts: int = 5,
    factor: float = 3,
    quiet: float = 900,
    within: float = 3_600,
    kinds: int = 3,
    targets: int = 4,
    most_low: int = 20,
) -> list[Finding]:
    """Return one finding per internal host, for all that rejected it and all that is new.

    Args:
        case: The case.
        many_targets: Hosts that make a pattern.
        many_services: Ports that make a pattern of rejected attempts.
        wide: Hosts that make new connections severe.
        baseline_hosts: Hosts at which a port, used in the baseline period, is usual for a host.
        factor: How many times more services than expected must be new to a host.
        quiet: Seconds for which the logs must show a host without a baseline before.
        within: Seconds in which it opens its new connections.
        kinds: Least number of kinds of service of one target, without a baseline.
        targets: Least number of targets, without a baseline.
        most_low: Most findings of severity low: those with most targets.
    """
    p = case.connection_summaries
    span = p.aggregate(first=p.first_seen.min(), last=p.last_seen.max()).to_pandas().iloc[0]
    first, last = span["first"], span["last"]
    if pd.isna(first):
        return []
    baseline = find_baseline(first, last)
    services = p.filter(p.direction == "internal", p.service_port.isin(sorted(SERVICE_PORTS)))
    with case.materialized(services.filter(~_.intermediate).select(_COLUMNS)) as services:
        rejected = _rows(services.filter(services.rejected > 0, services.answered == 0))
        rejected = rejected[~_is_constant(rejected, first, last)]
        new = (
            _new_to_known_hosts(p, services, baseline, baseline_hosts, factor, many_targets)
            if baseline
            else _late_administration(services, first, wide)
        )
        sudden = find_sudden_connections(case, services, Limits(quiet, within, kinds, targets))
    if baseline:
        sudden = sudden[~sudden["initiator"].isin(new["initiator"])]
    new = pd.concat([new, sudden[sudden.columns.intersection(new.columns)]])
    new = new.drop_duplicates(_ORDER).sort_values(_ORDER)
    return limit_low(
        _findings(case, rejected, new, sudden, baseline, (many_targets, many_services, wide)),
        most_low,
        lambda f: (-len(f.peers), f.subject),
        "hosts have such connections",
    )


def _new_to_known_hosts(
    p: ibis.Table,
    services: ibis.Table,
    baseline: Baseline,
    baseline_hosts: int,
    factor: float,
    many_targets: int,
) -> pd.DataFrame:
    """Return the new connections after a baseline period."""
    new = find_new_connections(p, services, baseline, baseline_hosts, factor)
    # A new host has no baseline: only the number of its targets is evidence.
    spread = new.groupby("initiator")["responder"].transform("nunique") >= many_targets
    return new[new["known"] | spread]


def _late_administration(services: ibis.Table, first: pd.Timestamp, wide: int) -> pd.DataFrame:
    """Return administration connections after the first hour, of hosts that reach many others."""
    admin = services.service_port.isin(sorted(ADMIN_PORTS))
    late = services.first_seen >= first + _HOUR
    new = _rows(services.filter(admin, services.answered > 0, late))
    return new[new.groupby("initiator")["responder"].transform("nunique") >= wide]


def _findings(
    case: Case,
    rejected: pd.DataFrame,
    new: pd.DataFrame,
    sudden: pd.DataFrame,
    baseline: Baseline | None,
    limits: tuple[int, int, int],
) -> list[Finding]:
    """Return a finding per host, of its rejected and its new connections."""
    targets = pd.concat([rejected["responder"], new["responder"]])
    assignments = AssignmentLookup(case.address_assignments, targets)
    begin, end = case.span
    total = (end - begin).total_seconds() if begin and end else 0.0
    lifetimes = {
        row["initiator"]: (row["host_end"] - row["host_begin"]).total_seconds()
        for row in sudden.to_dict("records")
    }
    groups = [(dict(list(rows.groupby("initiator"))), rows.iloc[:0]) for rows in (rejected, new)]
    found = []
    for subject in sorted({*rejected["initiator"], *new["initiator"]}):
        attempts, opened = (by_host.get(subject, empty) for by_host, empty in groups)
        opened_are_new = baseline is not None or subject in lifetimes
        of_host = None if subject in lifetimes else baseline
        reached_by = _find_previous_hop(subject, new) if opened_are_new else None
        severity = _rate(attempts, opened, reached_by, of_host, limits)
        note = baseline_note(of_host, lifetimes.get(subject), total)
        found.append(
            _finding(attempts, opened, reached_by, assignments, severity, note, opened_are_new)
        )
    return found


def _rows(summaries: ibis.Table) -> pd.DataFrame:
    return to_frame(summaries.order_by(_ORDER).to_pyarrow())


def _is_constant(rejected: pd.DataFrame, begin: pd.Timestamp, end: pd.Timestamp) -> pd.Series:
    """Whether a service rejects a host every hour throughout logs of about a day or more."""
    hours = (end - begin) / _HOUR
    throughout = (rejected["first_seen"] - begin <= _EDGE) & (end - rejected["last_seen"] <= _EDGE)
    constant = throughout & (rejected["rejected"] >= hours) & (hours >= _CONSTANT_HOURS)
    return constant & (
        constant.groupby(rejected["initiator"]).transform("sum") <= _CONSTANT_SERVICES
    )


def _find_previous_hop(subject: str, new: pd.DataFrame) -> pd.Series | None:
    """Return the new administration connection to a host before it opened new ones itself."""
    first = new.loc[new["initiator"] == subject, "first_seen"].min()
    to_it = new[(new["responder"] == subject) & new["service_port"].isin(ADMIN_PORTS)]
    to_it = to_it[to_it["first_seen"] <= first].sort_values(["first_seen", "initiator"])
    return None if to_it.empty else to_it.iloc[0]


def _rate(
    rejected: pd.DataFrame,
    new: pd.DataFrame,
    reached_by: pd.Series | None,
    baseline: Baseline | None,
    limits: tuple[int, int, int],
) -> str:
    """Return the severity of a host's rejected and new connections."""
    many_targets, many_services, wide = limits
    severities = ["low"]
    if len(rejected):
        pattern = rejected["responder"].nunique() >= many_targets
        pattern |= rejected["service_port"].nunique() >= many_services
        severities.append("high" if pattern else "medium")
    if baseline and (reached := new["responder"].nunique()) >= many_targets:
        severities.append("high" if reached >= wide or reached_by is not None else "medium")
    if reached_by is not None:
        severities.append("medium")
    return max(severities, key=SEVERITIES.index)


def _finding(
    rejected: pd.DataFrame,
    new: pd.DataFrame,
    reached_by: pd.Series | None,
    assignments: AssignmentLookup,
    severity: str,
    note: str,
    opened_are_new: bool,
) -> Finding:
    both = pd.concat([part for part in (rejected, new) if len(part)])
    subject = str(both["initiator"].iloc[0])
    sentences, caveats, scores = [], [], {}
    if len(rejected):
        targets, ports = rejected["responder"].nunique(), rejected["service_port"].nunique()
        scores["rejected"] = min(1.0, 0.4 + 0.1 * targets + 0.15 * ports)
        sentences.append(
            f"{subject} attempted {format_count(int(rejected['connections'].sum()), 'connection')}"
            f" to {format_count(len(rejected), 'internal service')} from {_period(rejected)}."
            f" {describe_outcome(rejected)}: {list_services(rejected, assignments, 'attempt')}."
        )
        caveats.append(
            "REJECT does not say which control denied the traffic, or whether a packet arrived"
            " late. A misconfigured application or a missing security group rule causes the same"
            " records. The initiator's interface may record ACCEPT for the same packets."
        )
    if len(new):
        reached = new["responder"].nunique()
        scores["new"] = min(1.0, 0.2 + 0.1 * reached)
        first = " for the first time in the logs" if opened_are_new else ""
        kind = "internal service" if opened_are_new else "internal administration service"
        sentences.append(
            f"{subject} connected{first} to {format_count(len(new), kind)} on"
            f" {format_count(reached, 'host')} from {_period(new)}:"
            f" {list_services(new, assignments, 'connection')}."
        )
        caveats.append(
            "An answered connection is not a login; a host with a new task can have the same"
            " traffic pattern."
        )
    if reached_by is not None:
        sentences.append(
            f"Before that, {reached_by['initiator']} connected to it for the first time on"
            f" {label(reached_by['service_port'], reached_by['protocol'])} at"
            f" {format_utc(reached_by['first_seen'])}."
        )
    return make_finding(
        DETECTOR,
        subject,
        both["responder"],
        sum_traffic(both),
        severity=severity,
        score=max(scores.values()),
        scores=scores,
        summary=" ".join(sentences),
        caveats=" ".join([*caveats, *([note] if note else [])]),
        title=None if len(rejected) else "New internal connections",
    )


def _period(rows: pd.DataFrame) -> str:
    return format_period(rows["first_seen"].min(), rows["last_seen"].max())
