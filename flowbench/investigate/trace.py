"""The result of an attribution: steps from an address to a principal, each with its evidence."""

from __future__ import annotations

import html
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from flowbench.enrich.namesakes import name_of
from flowbench.schema import ITEM, ORIGIN, Table
from flowbench.text import escape_controls, format_time

if TYPE_CHECKING:
    import pandas as pd

_COLUMNS = {"Step": 12, "Description": 40, "Time (UTC)": 16, "Supporting record": 32}  # widths, %

TRACE = Table.of(
    "trace",
    ("step", "string", "what the step establishes (see STEPS); gap: what it could not"),
    ("description", "string", "one sentence"),
    ("value", "string", "the identifier or name established; null for a gap"),
    ("time", "time", "time of the event, for steps about one"),
    ("event_id", "string", "CloudTrail event id, if an event supports the step"),
    ("file", "string", "the evidence file that supports the step"),
    *ORIGIN,
    ITEM,
)

STEPS = {
    "address": "the address that is traced",
    "assignment": "an interface that the address was assigned to, where there were several",
    "interface": "the network interface that it was assigned to",
    "instance": "the instance that the interface was attached to",
    "creation": "the API call that created instance or interface",
    "principal": "the principal that made the call",
    "access key": "the access key that signed it",
    "source address": "the address that it came from",
    "created by": "API calls of others that created the principal, its credentials or permissions",
    "role chain": "the calls before, each of which issued the credentials of the next",
    "creator baseline": "the source addresses of the creator's other calls",
    "creator activity": "other API events of the creator from the same, unusual address",
    "principal activity": "other API events of the principal; of the creator of an address also"
    " those of credentials that it issued",
    "derived credential": "calls that created keys, sessions, users, roles and instances",
    "derived address": "an address that calls with these came from",
    "derived activity": "API events of these",
    "caller": "a principal that called from the traced address, or as its instance",
    "caller activity": "its API events",
    "consequence": "what came of these calls, and what became of it",
    "outcome": "how the traced instance, principal or key ended",
    "finding": "a finding about the principal, its instances or the address",
    "address in flows": "a source address of the principal that occurs in flow logs",
    "limit": "where the trace was not followed further",
    "gap": "what the evidence does not show",
}


class Step(NamedTuple):
    """One step of a trace; the fields are the columns of TRACE."""

    step: str
    description: str
    value: str | None = None
    time: datetime | None = None
    event_id: str | None = None
    file: str | None = None
    evidence_id: str | None = None
    line: int | None = None
    item: int | None = None


@dataclass(frozen=True)
class Trace:
    """The steps from an address to the principal that created its interface or instance."""

    address: str  # or the principal that was traced
    steps: tuple[Step, ...]
    # Event ids of all activity of the principal and of what came of it: much is shown in part.
    activity_ids: tuple[str, ...] = ()
    # Names that principals of several accounts have (enrich.namesakes).
    namesakes: frozenset[str] = field(default=frozenset(), repr=False)

    def of(self, *steps: str) -> list[Step]:
        """The steps of these kinds (see STEPS), in order."""
        return [step for step in self.steps if step.step in steps]

    def value(self, step: str) -> str | None:
        """The first value that steps of this kind established."""
        return next((found.value for found in self.of(step) if found.value is not None), None)

    def name(self, principal: str) -> str:
        """The name of a principal that a step has as value, by its ARN."""
        return name_of(principal, self.namesakes)

    @property
    def gaps(self) -> list[str]:
        """What the evidence does not show, in sentences."""
        return [step.description for step in self.of("gap")]

    def event_ids(self, *steps: str) -> list[str]:
        """The CloudTrail event ids that support steps of these kinds."""
        found = [step.event_id for step in self.of(*steps) if step.event_id is not None]
        more = self.activity_ids if "principal activity" in steps else ()
        return list(dict.fromkeys([*found, *more]))

    def summary(self) -> dict[str, str | None]:
        """The identifiers that the trace established; None for those that it did not."""
        creation = next((step.time for step in self.of("creation") if step.time), None)
        return {
            "address": self.address,
            "interface": self.value("interface"),
            "instance": self.value("instance"),
            "creation_event": self.value("creation"),
            "created_at": creation.isoformat() if creation else None,
            "principal": self.value("principal"),
            "access_key": self.value("access key"),
            "source_address": self.value("source address"),
            "principal_created_by": self.value("created by"),
        }

    def to_pandas(self) -> pd.DataFrame:
        """The steps as a table (TRACE)."""
        return TRACE.frame(step._asdict() for step in self.steps)

    def __repr__(self) -> str:
        return f"<Trace of {self.address}: {len(self.steps)} steps, {len(self.gaps)} gaps>"

    def _repr_html_(self) -> str:
        """The steps as an HTML table; colours are inherited, for light and dark themes."""
        head = "".join(
            f"<th scope='col' style='text-align:left;width:{width}%'>{name}</th>"
            for name, width in _COLUMNS.items()
        )
        rows = "".join(_html_row(step) for step in self.steps)
        caption = _escape(f"Attribution of {self.address}")
        return (
            f"<table style='text-align:left'><caption>{caption}</caption>"
            f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
        )


def _html_row(step: Step) -> str:
    record = f"{step.file}, line {step.line}" if step.file is not None else ""
    if step.event_id is not None:
        record = f"event {step.event_id}" + (f" ({record})" if record else "")
    time = format_time(step.time, seconds=True) if step.time else ""
    cells = (step.step, step.description, time, record)
    style = "text-align:left;vertical-align:top;overflow-wrap:anywhere"
    return f"<tr>{''.join(f'<td style={style!r}>{_escape(cell)}</td>' for cell in cells)}</tr>"


def _escape(value: object) -> str:
    return html.escape(escape_controls(value))
