"""The connections of a few records, for the tests of this folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.traffic import make_case


def rows(folder: Path, records: Any, **more: Any) -> list[dict[str, Any]]:
    """Return the connections of these records, by first_seen and initiator port."""
    case = make_case(folder, records, **more)
    table = case.connections.order_by("first_seen", "initiator_port")
    return table.to_pyarrow().to_pylist()
