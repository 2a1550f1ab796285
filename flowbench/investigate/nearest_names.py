"""The names in a case that are nearest to a text that is none of them."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

import ibis

from flowbench.text import escape_controls

if TYPE_CHECKING:
    from flowbench.case import Case

_CLOSE = 3  # names that are offered
_MOST_NAMES = 20_000  # of one kind that are compared


def suggest_names(case: Case, text: str) -> str:
    """Name what in the case is spelled nearly like a text, as the end of an error's sentence."""
    events, assigned = case.api_events, case.address_assignments
    role = events.principal_name.re_replace("/.*", "")
    columns = [
        (assigned, assigned.name),
        (assigned, assigned.instance_id),
        (assigned, assigned.interface_id),
        (events, events.principal_name),
        (events, role),
        (events, events.target_user),
        (events, events.access_key_id),
        (case.dns, case.dns.name),
    ]
    known: set[str] = set()
    for table, column in columns:
        rows = table.select(text=column).filter(ibis._["text"].notnull()).distinct()
        known |= set(rows.order_by("text").limit(_MOST_NAMES).to_pyarrow()["text"].to_pylist())
    by_case: dict[str, str] = {name.casefold(): name for name in sorted(known, reverse=True)}
    close = difflib.get_close_matches(text.casefold(), sorted(by_case), n=_CLOSE)
    near = [escape_controls(by_case[name]) for name in close]
    return f"; the nearest: {', '.join(near)}" if near else ""
