"""What a note, a mark or a decision is about: a finding, event, alert, host or principal."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, NamedTuple

import ibis
from ibis import _

from flowbench.detect import history, registered
from flowbench.errors import CaseError, InputError
from flowbench.investigate.pivot import resolve
from flowbench.text import escape_controls, list_some

if TYPE_CHECKING:
    from flowbench.case import Case

_CLOSE = 3  # ids that are offered
_MOST_IDS = 20_000  # of one kind that are compared


class NoteSubject(NamedTuple):
    """What a note is about: its name, as the case spells it, and what kind of thing it is."""

    about: str
    kind: str  # finding, API event, alert, or the kind of a pivot (investigate.pivot)


def resolve_note_subject(case: Case, text: str) -> NoteSubject:
    """Return what a text names in a case.

    Args:
        case: The case.
        text: The id of a finding that the case keeps, or its unique start; the id of an API event
            or a GuardDuty finding; or a host or principal (see investigate.pivot).

    Raises:
        InputError: It is none of these, or the start of several findings' ids.
    """
    text = text.strip()
    if finding_id := _find_finding(case, text):
        return NoteSubject(finding_id, "finding")
    for kind, ids in (("API event", case.api_events.event_id), ("alert", case.alerts.alert_id)):
        if _has(ids == text):
            return NoteSubject(text, kind)
    try:
        pivot = resolve(case, text)
    except InputError as error:
        near = _nearest(text, _all_ids(case))
        raise InputError(
            f"{error}; nor is it the id of a finding, API event or GuardDuty finding{near}"
        ) from error
    if pivot.kind == "address" and not _occurs(case, pivot.text):
        known = case.addresses.select("address").distinct().order_by("address").limit(_MOST_IDS)
        near = _nearest(text, known.to_pyarrow()["address"].to_pylist())
        raise InputError(f"{pivot.text} does not occur in this case{near}")
    return NoteSubject(pivot.text, pivot.kind)


def _find_finding(case: Case, text: str) -> str | None:
    """Return the id of the kept finding that a text is, or begins; the latest run counts first."""
    if not any(text.startswith(f"{detector}-") for detector in registered()):
        return None
    for entry in reversed(history.kept_runs(case)):
        try:
            findings = history.read_run(case, entry).findings.by_id(text)
        except CaseError:  # `flowbench findings` reports it
            continue
        ids = sorted({finding.finding_id for finding in findings})
        if len(ids) == 1 or text in ids:
            return text if text in ids else ids[0]
        if ids:
            raise InputError(
                f"{escape_controls(text)} begins the ids of {len(ids)} findings: give one of"
                f" {list_some(ids)}"
            )
    return None


def _occurs(case: Case, address: str) -> bool:
    """Whether an address is in the inventory, or an API event, alert or DNS query names it."""
    alerts, dns = case.alerts, case.dns
    return any(
        _has(condition)
        for condition in (
            case.addresses.address == address,
            case.api_events.source_ip == address,
            alerts.local_address == address,
            alerts.remote_addresses.contains(address),
            alerts.local_addresses.contains(address),
            dns.srcaddr == address,
            dns.answers.contains(address),
            case.indicators.indicator == address,
        )
    )


def _has(condition: ibis.Value) -> bool:
    rows = condition.name("found").as_table()
    return bool(rows.filter(_.found.fill_null(False)).limit(1).count().to_pyarrow().as_py())


def _all_ids(case: Case) -> list[str]:
    ids = []
    for entry in history.kept_runs(case)[-1:]:
        try:
            ids += [finding.finding_id for finding in history.read_run(case, entry).findings.all]
        except CaseError:  # `flowbench findings` reports it
            continue
    for table, name in ((case.api_events, "event_id"), (case.alerts, "alert_id")):
        rows = table.select(id=name).filter(_.id.notnull()).distinct().order_by("id")
        ids += rows.limit(_MOST_IDS).to_pyarrow()["id"].to_pylist()
    return ids


def _nearest(text: str, names: list[str]) -> str:
    close = difflib.get_close_matches(text, names, n=_CLOSE)
    return f"; the nearest: {', '.join(map(escape_controls, close))}" if close else ""
