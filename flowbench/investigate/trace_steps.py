"""Steps of a trace that an address and a principal have in common, each with its record."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from flowbench.detect.api_rule import DISCOVERY
from flowbench.investigate.api_events import (
    PRIVILEGE_EVENTS,
    ApiEvent,
    events_of_principals,
    read_events,
)
from flowbench.investigate.consequences import find_consequences, find_usage, role_chain
from flowbench.investigate.tactics import classify, rank
from flowbench.investigate.trace import Step, Trace
from flowbench.text import is_address, list_some

if TYPE_CHECKING:
    from flowbench.case import Case
    from flowbench.investigate.pivot import Pivot

_MOST_READS = 12  # calls that only read with a step each


class StepBuilder:
    """Adds the steps of a trace in their order."""

    def __init__(self, case: Case, address: str) -> None:
        self.case, self.address = case, address
        self.steps = []
        if is_address(address):
            self.steps.append(Step("address", f"Address traced: {address}.", address))
        self.activity_ids: list[str] = []
        self._files = dict(case.evidence[["evidence_id", "file"]].itertuples(index=False))

    def done(self) -> Trace:
        """The trace, as far as the evidence shows it."""
        return Trace(self.address, tuple(self.steps), tuple(self.activity_ids))

    def add(self, step: str, description: str, value: str | None = None, **fields: Any) -> None:
        """Add a step (see trace.STEPS) with fields of Step."""
        self.steps.append(Step(step, description, value, **fields))

    def add_event(
        self, step: str, description: str, value: str | None, event: ApiEvent, **fields: Any
    ) -> None:
        """Add a step that an API event supports."""
        origin = (event.evidence_id, event.line, event.item)
        fields = {"time": event.event_time} | fields
        self.add(step, description, value, event_id=event.event_id, **self.cite(*origin), **fields)

    def cite(self, evidence_id: str | None, line: int | None, item: int | None) -> dict[str, Any]:
        """The record of a step: its file, evidence id, line and item."""
        file = self._files.get(evidence_id)
        return {"file": file, "evidence_id": evidence_id, "line": line, "item": item}

    def add_identity(self, pivot: Pivot) -> None:
        """Add a principal or key: who created it, what it did, and what came of that."""
        table = self.case.api_events
        made = table.access_key_id.isin(pivot.access_key_ids)
        if pivot.kind == "principal":
            made |= table.principal_name.isin(pivot.principals)
        activity = read_events(table.filter(made.fill_null(False)))
        self.add("principal", f"{pivot.kind.capitalize()} traced: {pivot.text}.", pivot.text)
        created = table.new_access_key_id.isin(pivot.access_key_ids)
        bare = sorted({name.partition("/")[0] for name in pivot.principals})
        if pivot.kind == "principal":
            created |= table.target_user.isin(bare) & table.event_name.isin(PRIVILEGE_EVENTS)
        own = {event.event_id for event in activity}
        origins = [
            event
            for event in read_events(table.filter(created.fill_null(False)))
            if event.event_id not in own
        ]
        for event in origins:
            value = None if event.error_code else event.principal_arn or event.caller
            self.add_event("created by", event.describe(), value, event)
        if not origins:
            self.add("gap", f"No event in the evidence shows who created {pivot.text}.")
        for key in pivot.access_key_ids:
            self.add("access key", f"Access key {key}.", key)
            self.add_role_chain(key)
        addresses = dict.fromkeys(event.source_ip for event in activity if event.source_ip)
        for address in addresses:
            event = next(event for event in activity if event.source_ip == address)
            count = sum(event.source_ip == address for event in activity)
            text = f"{count:,} calls came from {address}, the first with {event.user_agent}."
            self.add_event("source address", text, address, event)
        self.add_activity(activity)
        self.add_consequences(activity, list(pivot.principals))

    def add_creator(self, origins: list[ApiEvent]) -> None:
        """Add where else the creator's calls came from: stolen credentials show here."""
        creator = origins[0].principal_arn
        addresses = sorted({event.source_ip for event in origins if event.source_ip})
        calls = events_of_principals(self.case, [creator] if creator else [], [])
        elsewhere = [event for event in calls if event.source_ip not in addresses]
        if elsewhere:
            others = sorted({str(event.source_ip) for event in elsewhere})
            text = (
                f"{len(calls) - len(elsewhere):,} of the {len(calls):,} API calls by"
                f" {origins[0].caller} came from {', '.join(addresses)}; the other"
                f" {len(elsewhere):,} came from {list_some(others)}."
            )
            self.add_event("creator baseline", text, None, elsewhere[0], time=None)
        if len(calls) < 2 * len(elsewhere):  # an unusual address: all that was done from it matters
            cited = {event.event_id for event in origins}
            for event in calls:
                if event.source_ip in addresses and event.event_id not in cited:
                    self.add_event("creator activity", event.describe(), event.event_name, event)

    def add_role_chain(self, key: str | None) -> None:
        """Add the calls that issued the credentials, beyond the first, which is 'created by'."""
        for event in role_chain(self.case, key)[1:]:
            self.add_event("role chain", event.describe(), event.access_key_id, event)

    def add_activity(self, activity: list[ApiEvent]) -> None:
        """Add calls by the weight of their tactic; many that only read are one step."""
        self.activity_ids += [event.event_id for event in activity if event.event_id]
        reads = [event for event in activity if _tactic(event)[0] == DISCOVERY]
        few = len(reads) <= _MOST_READS
        shown = activity if few else [event for event in activity if event not in reads]
        for event in sorted(shown, key=lambda e: (_rank(e), e.event_time)):
            tactic, technique = _tactic(event)
            label = f"{tactic}{f' ({technique})' if technique else ''}"
            text = f"{label}: {event.describe()}"
            self.add_event("principal activity", text, event.event_name, event)
        if not few:
            names = Counter(event.event_name for event in reads).most_common()
            named = list_some(f"{name} {count:,}x" for name, count in names)
            text = f"{DISCOVERY}: {len(reads):,} calls that only read: {named}."
            self.add_event("principal activity", text, None, reads[0])

    def add_consequences(self, activity: list[ApiEvent], names: list[str]) -> None:
        """Add what came of calls, and where the addresses of principals occur in flow logs."""
        for found in find_consequences(self.case, activity):
            self.add_event("consequence", found.description, found.name, found.event)
        for usage in find_usage(self.case, names):
            self.add("address in flows", usage.description, usage.address, time=usage.first_seen)


def _tactic(event: ApiEvent) -> tuple[str, str | None]:
    return classify(event.event_name, read_only=bool(event.read_only))


def _rank(event: ApiEvent) -> int:
    return rank(event.event_name, read_only=bool(event.read_only))
