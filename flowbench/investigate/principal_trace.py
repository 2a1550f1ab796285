"""The trace of a principal or access key: who created it, what it did, and what that created."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ibis import _

from flowbench.enrich.namesakes import name_of, owner_account, qualify, recorded_name
from flowbench.investigate.activity import describe_calls
from flowbench.investigate.call_groups import describe_period
from flowbench.investigate.consequences import is_creating
from flowbench.investigate.credential_chain import instance_of_session
from flowbench.investigate.derived import Derived, follow_credentials
from flowbench.investigate.identity import calls_of, is_caller, tokens_of
from flowbench.investigate.principal_origins import describe_origins, origin_calls
from flowbench.investigate.trace_steps import StepBuilder
from flowbench.text import format_count, list_some

if TYPE_CHECKING:
    import ibis
    from ibis.common.deferred import Deferred

    from flowbench.investigate.pivot import Pivot

MOST_KEYS = 5  # with a step each
MOST_GRANTS = 16  # rows of calls that created credentials


class PrincipalTraceBuilder(StepBuilder):
    """Adds the steps of a principal or access key."""

    def add_identity(self, pivot: Pivot) -> None:
        """Add all steps of a principal or access key."""
        tokens = tokens_of(self.case, pivot)
        calls = self.hold(calls_of(self.events, tokens))
        is_key = pivot.kind == "access key"
        self._add_self(pivot, calls)
        self._add_origins(pivot, tokens)
        keys = sorted(token.partition(" ")[2] for token in tokens if token.startswith("key "))
        self._add_keys(keys)
        hint = self.list_command(() if is_key else (pivot.text,), keys)
        derived = follow_credentials(self.case, self.events, tokens)
        others = self._calls_of_derived(tokens, derived)
        addresses = self.add_sources("source address", calls)
        self.add_activity("principal activity", calls, hint, _without_sessions(calls))
        self._add_derived(derived)
        if others is not None:
            addresses += self.add_sources("derived address", others)
            hint = self._derived_hint(derived)
            self.add_activity("derived activity", others, hint, _without_sessions(others))
        self.add_consequences(calls if others is None else calls.union(others))
        self.add_key_outcomes(keys)
        hosts = self._addresses_of(derived.instances)
        named = {self._name(token) for token in {*tokens, *derived.tokens}}
        self.add_findings(named | set(pivot.principals) | set(hosts))
        self.add_usage(dict.fromkeys(addresses))
        if derived.limit is not None:
            self.add("limit", derived.limit)

    def _add_self(self, pivot: Pivot, calls: ibis.Table) -> None:
        """State what is traced, and how often and when it called."""
        row = calls.aggregate(
            calls=calls.count(),
            first=calls.event_time.min(),
            last=calls.event_time.max(),
            accounts=calls.account_id.collect(distinct=True),
            names=calls.principal_name.nunique(),
            name=calls.principal_name.min(),
        )
        (found,) = row.to_pyarrow().to_pylist()
        kind = pivot.kind.capitalize()
        if not found["calls"]:
            about = _mentions(pivot, name_of(pivot.text, self.case.namesakes))
            cited = self.cite_first(self.case.api_events.filter(about))
            self.add("principal", f"{kind} traced: {pivot.text}, no calls.", pivot.text, **cited)
            return
        count = format_count(found["calls"], "call")
        whose = f" of {found['name']}" if pivot.kind == "access key" and found["names"] == 1 else ""
        accounts = list_some(sorted(found["accounts"] or ()))
        text = f"{kind} traced: {pivot.text}, {count}{whose} in account {accounts or 'unknown'}"
        text += f", {describe_period(found['first'], found['last'])}."
        cited = self.cite_first(calls)
        self.add("principal", text, pivot.text, **cited)

    def _add_origins(self, pivot: Pivot, tokens: set[str]) -> None:
        """Add who created it, and the chains of credentials behind them."""
        about = tokens
        if pivot.kind == "access key":  # and the user whose key it is
            about = tokens | {f"user {name}" for name in self._users_of(pivot)}
        origins = origin_calls(self.case, about)
        rows = list(describe_origins(self.case, origins, "`flowbench events CASE`"))
        for row in rows:
            event = row.event
            failed = event is None or event.error_code
            value = None if failed or event is None else event.principal_arn or event.caller
            self.add_row("created by", row, value)
        events = [row.event for row in rows if row.event is not None]
        links = [(event.access_key_id, event.principal_name) for event in events]
        name = name_of(pivot.text, self.case.namesakes)
        instance = instance_of_session(name)
        if not rows and instance:
            links = [(None, name)]
        self.add_chain(link for link in links if any(link))
        if not rows and not self.of("role chain"):
            what = f"created {pivot.text}"
            if instance:
                what = f"started instance {instance}, after which {pivot.text} is named"
            elif "/" in name and pivot.kind == "principal":
                what = f"assumed the session {pivot.text}"
            self.add("gap", f"No event in the evidence shows who {what}.")

    def _users_of(self, pivot: Pivot) -> list[str]:
        """Account and name of the users that signed with a key."""
        calls = calls_of(self.case.api_events, {f"key {key}" for key in pivot.access_key_ids})
        users = calls.filter(calls.principal_type == "IAMUser")
        rows = users.select(account=owner_account(users), name=recorded_name(users.principal_name))
        found = rows.distinct().to_pyarrow().to_pylist()
        return sorted(f"{row['account']} {row['name']}" for row in found)

    def _add_keys(self, keys: list[str]) -> None:
        """Add the access keys, each with the first call that it signed or that issued it."""
        events = self.case.api_events
        for key in keys[:MOST_KEYS]:
            signed = (events.access_key_id == key).fill_null(False)
            cited = self.cite_first(events.filter(signed))
            text = f"Access key {key} signed its calls."
            if not cited:
                issued = (events.new_access_key_id == key).fill_null(False)
                cited = self.cite_first(events.filter(issued))
                text = f"Access key {key} was issued; no call in the evidence is signed with it."
            self.add("access key", text, key, **cited)
        if len(keys) > MOST_KEYS:
            more = keys[MOST_KEYS:]
            text = f"{format_count(len(more), 'more access key')}: {list_some(more, 3)}."
            cited = self.cite_first(events.filter(is_caller(events, {f"key {k}" for k in more})))
            self.add("access key", text, None, **cited)

    def _calls_of_derived(self, tokens: set[str], derived: Derived) -> ibis.Table | None:
        """The calls of what came of it, without its own."""
        if not derived.tokens:
            return None
        others = calls_of(self.events, derived.tokens)
        return self.hold(others.filter(~is_caller(others, tokens)))

    def _add_derived(self, derived: Derived) -> None:
        """Add the calls that issued sessions; a consequence states what else was created."""
        grants = derived.grants
        if grants is None:
            return
        sessions = grants.filter(~is_creating(grants))
        for row in describe_calls(sessions, MOST_GRANTS, "`flowbench events CASE`"):
            event = row.event if row.is_single else None
            self.add_row("derived credential", row, event and event.new_access_key_id)

    def _derived_hint(self, derived: Derived) -> str:
        keys = [t.removeprefix("key ") for t in derived.tokens if t.startswith("key ")]
        names = {self._name(t) for t in derived.tokens if t.startswith(("user", "role"))}
        return self.list_command((), keys) if keys else self.list_command(names, ())

    def _name(self, token: str) -> str:
        """The name of a token's principal, as findings have it; a key or instance as it is."""
        _kind, _, rest = token.partition(" ")
        account, space, name = rest.partition(" ")
        return qualify(name, account, self.case.namesakes) if space else rest

    def _addresses_of(self, instances: list[str]) -> list[str]:
        """The addresses of instances."""
        table = self.case.address_assignments
        rows = table.filter(table.instance_id.isin(instances)).select("address").distinct()
        return sorted(rows.to_pyarrow()["address"].to_pylist())


def _without_sessions(calls: ibis.Table) -> ibis.Table:
    """The calls but those that issued a session, which are steps of their own."""
    issued = calls.new_access_key_id.notnull() & calls.error_code.isnull() & ~is_creating(calls)
    return calls.filter(~issued)


def _mentions(pivot: Pivot, name: str) -> Deferred:
    """Whether an event issued one of the keys, or is about the user."""
    issued = _.new_access_key_id.isin(list(pivot.access_key_ids))
    return (issued | (_.target_user == name)).fill_null(False)
