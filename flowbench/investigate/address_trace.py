"""The trace of an address: its interface, its instance, who created them, and the calls from it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import ibis
from ibis import _

from flowbench.investigate.activity import Row, describe_calls
from flowbench.investigate.api_events import ApiEvent
from flowbench.investigate.assignment_steps import AssignmentStepBuilder
from flowbench.investigate.call_groups import describe_period
from flowbench.investigate.consequences import describe_one
from flowbench.investigate.credential_chain import instance_of_session
from flowbench.investigate.derived import follow_credentials
from flowbench.investigate.identity import calls_of, is_caller, tokens_of_event
from flowbench.investigate.principal_origins import describe_origins, origin_calls
from flowbench.investigate.resource_ends import endings_of, find_endings
from flowbench.investigate.trace import Step
from flowbench.text import format_count, list_some

if TYPE_CHECKING:
    from flowbench.enrich.inventory import Assignment

MOST_CALLERS = 8  # principals with a step each
MOST_CREATOR_ROWS = 12


class AddressTraceBuilder(AssignmentStepBuilder):
    """Adds the steps of an address."""

    _creator_addresses: frozenset[str] = frozenset()  # from which its principal was created

    def add_address(self, at: datetime | None, *, with_callers: bool = True) -> None:
        """Add all steps of an address.

        Args:
            at: The time whose assignment is meant; without it, that of its last record.
            with_callers: Whether calls from the address belong to it, and its connections.
        """
        self.is_external = with_callers and self._is_external()
        assignment = self.add_assignment(at)
        creation = self.add_creation(assignment)
        self.steps.insert(0, self._address_step(assignment))
        if creation is not None:
            self._add_principal(creation)
        if with_callers:
            self._add_callers(assignment)

    def _is_external(self) -> bool:
        """Whether the address occurs in flow logs or as that of a caller, and only as external."""
        if "%" in self.address:
            return False
        s = self.case.connection_summaries
        ends = ibis.union(
            s.filter(s.initiator == self.address).select(internal=s.direction != "inbound"),
            s.filter(s.responder == self.address).select(internal=s.direction != "outbound"),
        )
        seen = ends.aggregate(rows=ends.count(), internal=ends.internal.any()).to_pyarrow()
        (row,) = seen.to_pylist()
        if row["rows"]:
            return not row["internal"]
        events = self.case.api_events
        calls = events.filter((events.source_ip == self.address).fill_null(False))
        return bool(calls.limit(1).count().to_pyarrow().as_py())

    def _address_step(self, assignment: Assignment | None) -> Step:
        """The address, by the record that assigns it or else its first flow record."""
        text = f"Address traced: {self.address}."
        for step in self.of("interface"):
            if step.file is not None:
                return step._replace(
                    step="address", description=text, value=self.address, event_id=None
                )
        cited = self.cite_flow(self.address)
        if not cited:
            events = self.case.api_events
            is_from = (events.source_ip == self.address).fill_null(False)
            cited = self.cite_first(events.filter(is_from))
        elif assignment is not None:
            cited["time"] = assignment["valid_from"]
        return Step("address", text, self.address, **cited)

    def _add_principal(self, creation: ApiEvent) -> None:
        """Add the principal of the creating call, who created that principal, and its activity."""
        caller = creation.caller
        text = f"The call was made by {creation.principal_type} {caller}."
        self.add_event("principal", text, creation.principal_arn or caller, creation)
        if creation.access_key_id:
            text = f"The call was signed with access key {creation.access_key_id}."
            self.add_event("access key", text, creation.access_key_id, creation)
        if creation.source_ip:
            text = f"The call came from {creation.source_ip}, user agent {creation.user_agent}."
            self.add_event("source address", text, creation.source_ip, creation)
        tokens = tokens_of_event(creation)
        origins = self._add_origins(creation, tokens)
        self._add_creator(origins)
        self.add_chain([(creation.access_key_id, creation.principal_name)])
        instance = instance_of_session(creation.principal_name)
        if instance and not self.of("created by", "role chain"):
            text = f"No event in the evidence shows who started instance {instance}, whose"
            self.add("gap", f"{text} credentials were used.")
        self._add_activity(creation, tokens, origins)
        self._add_outcomes(creation, origins)

    def _add_origins(self, creation: ApiEvent, tokens: set[str]) -> list[ApiEvent]:
        """Add the calls that created the principal; return those that were read, in order."""
        rows = list(
            describe_origins(self.case, origin_calls(self.case, tokens), "`flowbench events CASE`")
        )
        # Who issued the credentials comes before who created the role.
        rows.sort(key=lambda row: row.event is None or not row.event.new_access_key_id)
        if creation.principal_type != "AssumedRole":
            rows.sort(key=lambda row: row.time)
        for row in rows:
            event = row.event
            failed = event is None or event.error_code
            value = None if failed or event is None else event.principal_arn or event.caller
            self.add_row("created by", row, value)
        issued = any(row.event is not None and row.event.new_access_key_id for row in rows)
        if not rows and creation.principal_type == "IAMUser":
            self.add("gap", f"No event in the evidence shows who created user {creation.caller}.")
        elif (
            not issued
            and creation.principal_type == "AssumedRole"
            and instance_of_session(creation.principal_name) is None
        ):
            text = "No event in the evidence shows who assumed the session"
            self.add("gap", f"{text} {creation.caller}.")
        events = [row.event for row in rows if row.event is not None]
        self._creator_addresses = frozenset(e.source_ip for e in events if e.source_ip)
        return events

    def _add_creator(self, origins: Sequence[ApiEvent]) -> None:
        """Add where else the creator's calls came from: stolen credentials show here."""
        creator = next((event for event in origins if event.principal_arn), None)
        if creator is None:
            return
        own = [event for event in origins if event.principal_arn == creator.principal_arn]
        addresses = sorted({event.source_ip for event in own if event.source_ip})
        events = self.case.api_events
        by_creator = (events.principal_arn == creator.principal_arn).fill_null(False)
        calls = self.hold(events.filter(by_creator))
        is_there = calls.source_ip.isin(addresses).fill_null(False)
        elsewhere = calls.filter(~is_there)
        total, others = (int(t.count().to_pyarrow().as_py()) for t in (calls, elsewhere))
        if others:
            sources = elsewhere.select("source_ip").distinct().order_by("source_ip").to_pyarrow()
            text = (
                f"{total - others:,} of the {total:,} API calls by {creator.caller} came from"
                f" {list_some(addresses)}; the other {others:,} came from"
                f" {list_some(sources['source_ip'].to_pylist())}."
            )
            self.add("creator baseline", text, None, **self.cite_first(elsewhere))
        if total < 2 * others:  # an unusual address: all that was done from it matters
            cited = sorted({event.event_id for event in origins if event.event_id})
            unusual = calls.filter(is_there, ~calls.event_id.isin(cited).fill_null(False))
            hint = self.list_command((creator.caller,), ())
            for row in describe_calls(unusual, MOST_CREATOR_ROWS, hint):
                self.add_row("creator activity", row, row.value)

    def _add_activity(
        self, creation: ApiEvent, tokens: set[str], origins: Sequence[ApiEvent]
    ) -> None:
        """Add the principal's other calls, also with keys it issued, and what they created."""
        keys = {f"key {event.new_access_key_id}" for event in origins if event.new_access_key_id}
        own = tokens | keys
        derived = follow_credentials(self.case, self.events, own, kinds=("key",))
        calls = calls_of(self.events, own | derived.tokens)
        cited = [event.event_id for event in (creation, *origins) if event.event_id]
        others = self.hold(calls.filter(~calls.event_id.isin(cited).fill_null(False)))
        hint = self.list_command((creation.caller,), ())
        self.add_activity("principal activity", others, hint)
        self.add_consequences(others)
        if derived.limit is not None:
            self.add("limit", derived.limit)

    def _add_outcomes(self, creation: ApiEvent, origins: Sequence[ApiEvent]) -> None:
        """Add how the instance, the principal and its keys ended."""
        done = (event for event in origins if event.error_code is None)
        created = [event for event in (creation, *done) if endings_of(event.event_name)]
        ends = find_endings(self.case, created)
        traced = {step.value for step in self.of("instance", "interface")}
        for place, event in enumerate(created):
            for found in describe_one(event, ends.get(place)):
                if place or found.name in traced:
                    self.add_event("outcome", found.description, found.name, event)
        known = {event.new_access_key_id for event in origins}
        signed = (creation.access_key_id, *(event.access_key_id for event in origins))
        keys = [key for key in signed if key not in known]
        self.add_key_outcomes(key for key in keys if key)

    def _add_callers(self, assignment: Assignment | None) -> None:
        """Add who called the API from the address, or with its instance's credentials."""
        public = (assignment or {}).get("public_addresses") or ()
        instance = assignment and assignment["instance_id"]
        events = self.events
        is_from = events.source_ip.isin([self.address, *public]).fill_null(False)
        tokens = {f"instance {instance}"} if instance else set()
        calls = self.hold(events.filter(is_from | is_caller(events, tokens)))
        self._add_caller_steps(calls)
        if self.of("caller"):
            self.add_activity(
                "caller activity", calls, f"`flowbench events CASE --peer {self.address}`"
            )
            self.add_consequences(calls)
            keys = calls.filter(calls.access_key_id.startswith("AKIA")).select("access_key_id")
            listed = keys.distinct().order_by("access_key_id").to_pyarrow()["access_key_id"]
            self.add_key_outcomes(listed.to_pylist(), with_gaps=False)
        self.add_findings((self.address,), (self.address,) if self.is_external else ())
        addresses = {step.value for step in self.of("source address") if step.value}
        addresses |= self._creator_addresses
        if self.is_external:
            addresses.add(self.address)
        self.add_usage(addresses)

    def _add_caller_steps(self, calls: ibis.Table) -> None:
        """Add a step for each principal that made some calls."""
        order = [calls[name] for name in ("event_time", "event_id", "evidence_id", "line", "item")]
        origin = ["event_id", "evidence_id", "line", "item"]
        who = ibis.coalesce(calls.principal_name, calls.principal_arn, calls.principal_type, "")
        groups = (
            calls.mutate(who=who)
            .group_by("who")
            .aggregate(
                calls=_.count(),
                failed=_.error_code.count(),
                key=_.access_key_id.min(),
                keys=_.access_key_id.nunique(),
                sources=_.source_ip.nunique(),
                source=_.source_ip.min(),
                first=_.event_time.min(),
                last=_.event_time.max(),
                **{name: calls[name].first(order_by=order, include_null=True) for name in origin},
            )
        )
        rows = groups.order_by("first", "who").to_pyarrow().to_pylist()
        for row in rows[:MOST_CALLERS]:
            key = f", access key {row['key']}" if row["key"] else ""
            key += f" and {row['keys'] - 1:,} more" if row["keys"] > 1 else ""
            source = f" from {row['source']}" if row["source"] else ""
            source += f" and {row['sources'] - 1:,} more addresses" if row["sources"] > 1 else ""
            text = (
                f"{row['who'] or 'An unknown principal'} made"
                f" {format_count(row['calls'], 'API call')}{source}"
                f", {describe_period(row['first'], row['last'])}{key}; {row['failed']:,} failed."
            )
            found = Row(text, None, row["first"], {name: row[name] for name in origin})
            self.add_row("caller", found, row["who"] or None)
        if rest := rows[MOST_CALLERS:]:
            count = sum(row["calls"] for row in rest)
            names = list_some([row["who"] for row in rest], 3)
            text = f"{len(rest):,} more principals made {format_count(count, 'API call')}: {names}."
            first = rest[0]
            found = Row(text, None, first["first"], {name: first[name] for name in origin})
            self.add_row("caller", found)
