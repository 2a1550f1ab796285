"""What the formats of indicator feeds share that are not plain or CSV lists.

A format is one module beside this one, with the loader protocol of ``loaders.base``: ``KIND`` and
``TABLE`` are those of ``indicators``; ``matches`` and ``to_row`` read JSON, ``matches_head`` and
``read_lines`` text. A file is offered to these formats before all others, so ``matches`` and
``matches_head`` must be certain.
"""

from __future__ import annotations

from flowbench.errors import BadRecord
from flowbench.loaders.intel.indicators import UNSPECIFIED, Row, find_kind, normalize_kind
from flowbench.loaders.intel.observable import in_cell
from flowbench.loaders.values import abbreviate
from flowbench.text import replace_unstorable

_DESCRIPTION = 400  # characters kept


def indicator_rows(
    value: object, *, feed: str, kind: str | None = None, **columns: object
) -> list[Row]:
    """Convert one value of a feed to rows of the indicators table.

    Args:
        value: An address, network, range or domain.
        feed: The name of the feed.
        kind: The kind, also in the feed's own words.
        columns: Values of other columns.

    Raises:
        BadRecord: The value is none of these.
    """
    found = in_cell(replace_unstorable(value)) if isinstance(value, str) else "not an indicator"
    if isinstance(found, str):
        raise BadRecord(f"{found}: {abbreviate(value)}")
    text = columns.get("description")
    description = replace_unstorable(text)[:_DESCRIPTION] if isinstance(text, str) else None
    return [
        columns
        | {
            "indicator": item.indicator,
            "type": item.type,
            "kind": normalize_kind(kind) or find_kind(feed) or UNSPECIFIED,
            "feed": replace_unstorable(feed),
            "port": item.port or columns.get("port") or None,
            "description": description or item.description,
        }
        for item in found
    ]
