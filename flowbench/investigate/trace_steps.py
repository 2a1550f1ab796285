"""Steps of a trace that an address and a principal have in common, each with its record."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterable
from contextlib import ExitStack
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Self

import ibis
from ibis import _

from flowbench.investigate.activity import Row, describe_activity
from flowbench.investigate.api_events import ApiEvent
from flowbench.investigate.call_groups import describe_period
from flowbench.investigate.consequences import describe_end, find_consequences, find_usage
from flowbench.investigate.credential_chain import follow_chain
from flowbench.investigate.filters import Filters, filter_period
from flowbench.investigate.resource_ends import find_key_ending
from flowbench.investigate.trace import Step, Trace
from flowbench.text import canonical_address, format_count, is_address, list_some

if TYPE_CHECKING:
    from flowbench.case import Case
    from flowbench.detect import Finding, Findings

MOST_CHAINS = 4  # keys that are followed back
MOST_KEYS = 8  # whose end is looked up
MOST_SOURCES = 8  # source addresses with a step each
MOST_FINDINGS = 12  # groups about the same subject and peers
_RECORD = timedelta(minutes=15)  # in which the first record of a connection starts
_ENDS = ("srcaddr", "dstaddr", "pkt_srcaddr", "pkt_dstaddr")


class StepBuilder:
    """Adds the steps of a trace in their order."""

    def __init__(
        self,
        case: Case,
        address: str,
        filters: Filters | None = None,
        findings: Findings | None = None,
    ) -> None:
        self.case, self.address = case, address
        self.filters = filters or Filters()
        self.findings = findings
        self.steps: list[Step] = []
        self.activity_ids: list[str] = []
        self._files = dict(case.evidence[["evidence_id", "file"]].itertuples(index=False))
        self._held = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._held.close()

    def hold(self, calls: ibis.Table) -> ibis.Table:
        """Compute API events once for several questions; the engine keeps them until the end."""
        columns = [*ApiEvent._fields, "issuer_arn"]
        return self._held.enter_context(self.case.materialized(calls.select(columns)))

    @property
    def events(self) -> ibis.Table:
        """The API events of the period."""
        return filter_period(self.case.api_events, self.filters, "event_time", "event_time")

    def done(self) -> Trace:
        """The trace, as far as the evidence shows it."""
        ids = tuple(self.activity_ids)
        return Trace(self.address, tuple(self.steps), ids, self.case.namesakes)

    def add(
        self,
        step: str,
        description: str,
        value: str | None = None,
        time: datetime | None = None,
        **fields: Any,
    ) -> None:
        """Add a step (see trace.STEPS) with fields of Step."""
        self.steps.append(Step(step, description, value, time, **fields))

    def add_event(
        self, step: str, description: str, value: str | None, event: ApiEvent, **fields: Any
    ) -> None:
        """Add a step that an API event supports."""
        origin = (event.evidence_id, event.line, event.item)
        fields = {"time": event.event_time} | fields
        self.add(step, description, value, event_id=event.event_id, **self.cite(*origin), **fields)

    def add_row(self, step: str, row: Row, value: str | None = None) -> None:
        """Add a step about calls, which the first of them supports."""
        origin = dict(row.origin)
        event_id = origin.pop("event_id")
        self.add(step, row.description, value, row.time, event_id=event_id, **self.cite(**origin))

    def cite(self, evidence_id: str | None, line: int | None, item: int | None) -> dict[str, Any]:
        """The record of a step: its file, evidence id, line and item."""
        file = self._files.get(evidence_id)
        return {"file": file, "evidence_id": evidence_id, "line": line, "item": item}

    def add_chain(self, links: Iterable[tuple[str | None, str | None]]) -> None:
        """Add the calls behind credentials, each once, without those of 'created by'.

        Args:
            links: Access key and name of principals, of which MOST_CHAINS are followed.
        """
        different = list(dict.fromkeys(links))
        cited = {_origin(step) for step in self.of("created by", "creation")}
        for key, session in different[:MOST_CHAINS]:
            chain = follow_chain(self.case, key, session)
            for hop in chain.hops:
                event = hop.event
                if _origin(event) not in cited:
                    cited.add(_origin(event))
                    self.add_event("role chain", hop.description, event.access_key_id, event)
            if chain.limit is not None:
                self.add("limit", chain.limit)
        if len(different) > MOST_CHAINS:
            more = len(different) - MOST_CHAINS
            self.add(
                "limit", f"{format_count(more, 'more key')} of creators were not followed back."
            )

    def of(self, *steps: str) -> list[Step]:
        """The steps of these kinds so far."""
        return [step for step in self.steps if step.step in steps]

    def add_activity(
        self, step: str, calls: ibis.Table, hint: str, shown: ibis.Table | None = None
    ) -> None:
        """Add calls by the weight of their tactic.

        Args:
            step: The kind of step.
            calls: Rows of Case.api_events.
            hint: Where all of them are listed.
            shown: Those that no other step states; all by default.
        """
        named = calls.filter(calls.event_id.notnull()).order_by("event_time", "event_id")
        if step != "caller activity":
            ids = named.select("event_time", "event_id").to_pyarrow()["event_id"].to_pylist()
            self.activity_ids += dict.fromkeys(ids)
        for row in describe_activity(calls if shown is None else shown, hint):
            self.add_row(step, row, row.value)

    def list_command(self, principals: Collection[str], keys: Collection[str]) -> str:
        """Return the command that lists the calls of principals or keys."""
        option, values = ("--principal", principals) if principals else ("--key", keys)
        listed = [f"{option} {shlex.quote(value)}" for value in sorted(values)[:3]]
        return f"`flowbench events CASE {' '.join(listed)}{' …' if len(values) > 3 else ''}`"

    def add_consequences(self, calls: ibis.Table) -> None:
        """Add the resources that calls created, and how these ended."""
        for found in find_consequences(self.case, calls):
            self.add_event("consequence", found.description, found.name, found.event)

    def add_key_outcomes(self, keys: Iterable[str], *, with_gaps: bool = True) -> None:
        """Add which access keys were disabled or deleted, and which were not."""
        # Those of sessions expire, and no call ends them.
        lasting = [key for key in dict.fromkeys(keys) if key.startswith("AKIA")]
        if more := lasting[MOST_KEYS:]:
            text = f"{format_count(len(more), 'more access key')} were not looked up for their end"
            self.add("limit", f"{text}: {list_some(more, 3)}.")
        for key in lasting[:MOST_KEYS]:
            end = find_key_ending(self.case, key)
            if end is None and with_gaps:
                self.add("gap", f"No event in the evidence disables or deletes access key {key}.")
            elif end is not None:
                text = f"Access key {key} was {describe_end(end)}."
                self.add_event("outcome", text, key, end.event)

    def add_sources(self, step: str, calls: ibis.Table) -> list[str]:
        """Add the source addresses of calls; return all.

        Args:
            step: The kind of step: 'source address', or 'derived address'.
            calls: Rows of Case.api_events.
        """
        whose = " of derived credentials" if step == "derived address" else ""
        order = [calls[name] for name in ("event_time", "event_id", "evidence_id", "line", "item")]
        names = ["event_id", "evidence_id", "line", "item", "user_agent"]
        groups = calls.filter(calls.source_ip.notnull()).group_by("source_ip")
        rows = groups.aggregate(
            calls=_.count(),
            agents=_.user_agent.nunique(),
            first=_.event_time.min(),
            last=_.event_time.max(),
            **{name: calls[name].first(order_by=order, include_null=True) for name in names},
        )
        found = rows.order_by(ibis.desc("calls"), "first", "source_ip").to_pyarrow().to_pylist()
        for row in found[:MOST_SOURCES]:
            count = format_count(row["calls"], "call")
            others = row["agents"] - 1
            agents = f" and {format_count(others, 'other user agent')}" if others > 0 else ""
            period = describe_period(row["first"], row["last"])
            text = f"{count}{whose} came from {row['source_ip']}, {period}; the first with"
            text += f" {row['user_agent'] or 'no user agent'}{agents}."
            origin = {name: row[name] for name in names[:4]}
            self.add_row(step, Row(text, None, row["first"], origin), row["source_ip"])
        if rest := found[MOST_SOURCES:]:
            count = format_count(sum(row["calls"] for row in rest), "call")
            named = list_some([row["source_ip"] for row in rest], 3)
            text = f"{count}{whose} came from {len(rest):,} more addresses: {named}."
            origin = {name: rest[0][name] for name in names[:4]}
            self.add_row(step, Row(text, None, rest[0]["first"], origin))
        return [row["source_ip"] for row in found if is_address(row["source_ip"])]

    def add_usage(self, addresses: Collection[str]) -> None:
        """Add which addresses of callers occur in flow logs, each with its first record."""
        spelled = {canonical_address(address) for address in addresses}
        for usage in find_usage(self.case, spelled, self.filters):
            cited = self.cite_flow(usage.address, usage.first_seen)
            self.add(
                "address in flows", usage.description, usage.address, usage.first_seen, **cited
            )

    def cite_flow(
        self, address: str, first_seen: datetime | None = None, peer: str | None = None
    ) -> dict[str, Any]:
        """The first flow record of an address and a peer, from the time of the first connection."""
        flows = self.case.flows
        if first_seen is not None:
            start = flows["start"] >= ibis.literal(first_seen)
            flows = flows.filter(start & (flows["start"] <= ibis.literal(first_seen + _RECORD)))
        for end in filter(None, (address, peer)):
            bare = end.partition("%")[0]
            is_end = ((flows[name] == bare).fill_null(False) for name in _ENDS)
            flows = flows.filter(ibis.or_(*is_end))
        item = flows["item"] if "item" in flows.columns else ibis.null("int64")
        rows = flows.select("start", "evidence_id", "line", item=item)
        found = rows.order_by("start", "evidence_id", "line", "item").limit(1).to_pyarrow()
        if not len(found):
            return {}
        return self.cite(*(found[name][0].as_py() for name in ("evidence_id", "line", "item")))

    def add_findings(self, subjects: Collection[str], peers: Collection[str] = ()) -> None:
        """Add the findings about principals and addresses, or with addresses as their peers."""
        if self.findings is None:
            return
        own = [f for f in self.findings if _concerns(f, set(subjects), set(peers))]
        wanted = [f for f in own if self.filters.overlaps(f.first_seen, f.last_seen)]
        related: dict[tuple[str, tuple[str, ...]], list[Finding]] = {}
        for finding in wanted:
            related.setdefault((finding.subject, finding.peers), []).append(finding)
        shown = list(related.values())[:MOST_FINDINGS]
        for group in shown:
            first = group[0]  # the most severe
            titles = " + ".join(dict.fromkeys(finding.title for finding in group))
            sentence = first.summary.partition(". ")[0].rstrip(".")  # it has the numbers
            text = f"{titles} ({first.severity}): {sentence}."
            cited = self._cite(first) | {"time": first.first_seen}
            self.add("finding", text, first.finding_id, **cited)
        if len(related) > MOST_FINDINGS:
            more = len(wanted) - sum(map(len, shown))
            text = f"{format_count(more, 'more finding')}: `flowbench detect CASE` lists all."
            self.add("limit", text)

    def _cite(self, finding: Finding) -> dict[str, Any]:
        """The first record that supports a finding."""
        if finding.evidence.flows and is_address(finding.subject):
            return self.cite_flow(finding.subject, finding.first_seen, finding.peer)
        return self.cite_first(
            self.case.api_events.filter(_.event_time >= ibis.literal(finding.first_seen)).filter(
                (_.principal_name == finding.subject).fill_null(False)
            )
        )

    def cite_first(self, events: ibis.Table) -> dict[str, Any]:
        """The first of some API events, with its time and id; nothing if there is none."""
        names = ["event_time", "event_id", "evidence_id", "line", "item"]
        found = events.order_by(*names).select(*names).limit(1).to_pyarrow()
        if not len(found):
            return {}
        row = found.to_pylist()[0]
        named = {"time": row.pop("event_time"), "event_id": row.pop("event_id")}
        return named | self.cite(**row)


def _origin(of: Step | ApiEvent) -> tuple[str | None, int | None, int | None]:
    return of.evidence_id, of.line, of.item


def _concerns(finding: Finding, subjects: set[str], peers: set[str]) -> bool:
    return finding.subject in subjects or not peers.isdisjoint(finding.peers)
