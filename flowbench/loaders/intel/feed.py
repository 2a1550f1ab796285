"""Formats of indicator feeds that need more than the plain and CSV reader of load.indicators.

A format is one module here, told by content like every kind (see load.base): ``KIND`` and ``TABLE``
are those of load.indicators; ``matches`` and ``to_row`` read JSON, ``matches_head`` and
``read_lines`` text. These are asked before any other kind, so ``matches`` and ``matches_head``
must be sure.
"""

from __future__ import annotations

from typing import Any

from flowbench.errors import BadRecord
from flowbench.loaders.intel.lists import UNSPECIFIED, kind_in, kind_stated
from flowbench.loaders.intel.observable import in_cell
from flowbench.loaders.values import brief
from flowbench.text import replace_unstorable

_DESCRIPTION = 400  # characters kept


def listed(
    value: object, *, feed: str, kind: str | None = None, **told: Any
) -> list[dict[str, Any]]:
    """Rows of the indicators table for one value of a feed: an address, network, range, domain.

    ``kind`` may be in the feed's own words; ``told`` are other columns. Raises BadRecord.
    """
    found = in_cell(replace_unstorable(value)) if isinstance(value, str) else "no indicator"
    if isinstance(found, str):
        raise BadRecord(f"{found}: {brief(value)}")
    text = told.get("description")
    described = replace_unstorable(text)[:_DESCRIPTION] if isinstance(text, str) and text else None
    stated = kind_stated(kind) or kind_in(feed) or UNSPECIFIED
    return [
        told
        | {
            "indicator": item.indicator,
            "type": item.type,
            "kind": stated,
            "feed": replace_unstorable(feed),
            "port": item.port or told.get("port") or None,
            "description": described or item.description,
        }
        for item in found
    ]
