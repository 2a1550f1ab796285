"""Who created a principal, its credentials and its permissions."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

import ibis
import pyarrow as pa

from flowbench.enrich.namesakes import recorded_name
from flowbench.investigate.activity import Row, describe_calls, event_row
from flowbench.investigate.api_events import PRIVILEGE_EVENTS, ROLE_EVENTS
from flowbench.investigate.credential_chain import add_callers, describe_issuing
from flowbench.investigate.identity import is_caller

if TYPE_CHECKING:
    from flowbench.case import Case

MOST_ROWS = 16
_ROLE_NAME = r'"roleName":"([^"\\]+)"'


def origin_calls(case: Case, tokens: Collection[str]) -> ibis.Table:
    """Return others' calls that created an identity, its credentials or permissions.

    Args:
        case: The case.
        tokens: The identity (see identity).

    Returns:
        Rows of Case.api_events; failed calls too.
    """
    events = case.api_events
    wanted: dict[str, set[str]] = {}
    for token in tokens:
        kind, _, rest = token.partition(" ")
        if kind == "session":
            kind, rest = "role", rest.partition("/")[0]
        wanted.setdefault(kind, set()).add(rest)
    account = events.account_id.fill_null("").concat(" ")
    role = events.request.re_extract(_ROLE_NAME, 1)
    values = {
        "key": (events.new_access_key_id, None),
        "user": (account.concat(recorded_name(events.target_user)), PRIVILEGE_EVENTS),
        "role": (account.concat(role), ROLE_EVENTS),
    }
    selected = ibis.literal(False)
    for kind, (value, names) in values.items():
        if kind in wanted:
            listed = pa.array(sorted(wanted[kind]), pa.string())
            is_about = value.isin(ibis.memtable(pa.table({"value": listed})).value)
            if names is not None:
                is_about &= events.event_name.isin(names)
            selected |= is_about.fill_null(False)
    return events.filter(selected & ~is_caller(events, tokens))


def describe_origins(case: Case, calls: ibis.Table, hint: str = "") -> Iterator[Row]:
    """Yield the calls that created a principal, in order of time; many equal ones share a row.

    Args:
        case: The case.
        calls: Rows of Case.api_events, as ``origin_calls`` returns them.
        hint: Where all of them are listed.
    """
    rows = list(describe_calls(calls, MOST_ROWS, hint))
    events = iter(add_callers(case, [row.event for row in rows if row.event is not None]))
    for row in rows:
        if row.event is None:
            yield row
            continue
        event = next(events)
        single = event_row(event, describe_issuing(event))
        yield single if row.is_single else row._replace(event=event)
