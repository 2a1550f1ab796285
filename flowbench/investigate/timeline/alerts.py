"""GuardDuty findings as rows of the timeline."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import ibis

from flowbench.investigate.pivot import is_in_domain
from flowbench.investigate.timeline.event import Event
from flowbench.investigate.timeline.followed import SEVERE
from flowbench.text import split_zone

if TYPE_CHECKING:
    from flowbench.case import Case
    from flowbench.investigate.timeline.scope import Scope

_MOST_LISTED = 200  # addresses of a scope that lists of alerts are searched for


def alert_rows(case: Case, scope: Scope) -> Iterator[Event]:
    """Yield the GuardDuty findings about anything in a scope; all of them for a whole case.

    The timeline of a case has all those of high severity or above.
    """
    subject_of = {
        step.value: subject for subject, trace in scope.traces for step in trace.of("instance")
    }
    alerts = case.alerts
    if not scope.is_whole:
        conditions = _conditions(alerts, scope, [name for name in subject_of if name])
        if not conditions:
            return
        alerts = alerts.filter(ibis.or_(*(each.fill_null(False) for each in conditions)))
    for alert in alerts.order_by("first_seen", "alert_id").to_pyarrow().to_pylist():
        if _is_in_period(scope, alert):
            yield _to_row(alert, subject_of)


def _conditions(alerts: ibis.Table, scope: Scope, instances: Iterable[str]) -> list[Any]:
    hosts = sorted(scope.host_addresses)
    conditions = [] if scope.pivot is not None else [alerts.severity_label.isin(SEVERE)]
    if hosts:
        conditions.append(alerts.local_address.isin(hosts))
        # An alert without its instance may be about any host with the address.
        shared = sorted({split_zone(host)[0] for host in hosts if "%" in host})
        conditions.append(alerts.instance_id.isnull() & alerts.local_address.isin(shared))
        conditions += [alerts.local_addresses.contains(host) for host in hosts[:_MOST_LISTED]]
    if scope.external:
        external = sorted(scope.external)
        conditions.append(alerts.remote_address.isin(external))
        listed = external[:_MOST_LISTED]
        conditions += [alerts.remote_addresses.contains(address) for address in listed]
        conditions += [alerts.local_addresses.contains(address) for address in listed]
    for instance in sorted({*instances, *scope.instance_ids}):
        conditions += [alerts.instance_id == instance, alerts.instance_ids.contains(instance)]
    conditions += [alerts.interface_ids.contains(name) for name in sorted(scope.interface_ids)]
    conditions += [alerts.access_key_ids.contains(key) for key in sorted(scope.access_key_ids)]
    for name in sorted(scope.principals):
        conditions += [alerts.principal_name == name, alerts.principal_names.contains(name)]
    if scope.domain is not None:
        conditions.append(is_in_domain(alerts.domain, scope.domain))
        conditions.append(alerts.domains.contains(scope.domain))
    return conditions


def _is_in_period(scope: Scope, alert: Mapping[str, Any]) -> bool:
    """Whether the local address was one of the scope's hosts at the time of the alert."""
    address = alert["local_address"]
    if address not in scope.host_addresses:
        return True  # chosen by something else: an instance, a remote address, a key
    if alert["instance_id"] in scope.instance_ids:
        return True
    return scope.has_host(address, alert["first_seen"], alert["last_seen"])


def _to_row(alert: Mapping[str, Any], subject_of: Mapping[str | None, str]) -> Event:
    remote = alert["remote_address"] or alert["domain"]
    others = len({*(alert["remote_addresses"] or ()), *(alert["domains"] or ())} - {remote})
    target = f" ({remote}{f' and {others} more' if others else ''})" if remote else ""
    count = f", count {alert['count']:,}" if alert["count"] else ""
    subject = _subject(alert, subject_of)
    actor, target_object = subject, remote or alert["api"]
    if alert["direction"] == "INBOUND" or "PortProbe" in (alert["type"] or ""):
        actor, target_object = remote, subject
    return Event(
        alert["first_seen"] or alert["created_at"] or alert["updated_at"],
        "GuardDuty",
        alert["type"] or "unknown type",
        f"GuardDuty reported {alert['type']}{target}{count}.",
        actor=actor,
        object=target_object,
        end=alert["last_seen"],
        severity=alert["severity_label"],
        count=alert["count"],
        evidence=alert["alert_id"],
        evidence_id=alert["evidence_id"],
        line=alert["line"],
        item=alert["item"],
        peers=(*(alert["remote_addresses"] or ()), *(alert["domains"] or ())),
        ports=tuple(map(int, [*(alert["local_ports"] or ()), *(alert["remote_ports"] or ())])),
        rejected=bool(alert["blocked"]),
    )


def _subject(alert: Mapping[str, Any], subject_of: Mapping[str | None, str]) -> str | None:
    """The host or principal that an alert is about: the traced host of its instance, if any."""
    traced: str | None = subject_of.get(alert["instance_id"])
    address: str | None = alert["local_address"]
    if traced and (address is None or split_zone(traced)[0] == address):
        return traced
    named: str | None = alert["principal_name"]
    return address or alert["instance_id"] or named
