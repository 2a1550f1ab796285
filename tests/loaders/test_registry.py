"""The registry: the order of kinds, and the readers that a forced kind selects."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pyarrow as pa
import pytest

from flowbench.loaders import dispatch, registry
from flowbench.loaders.base import QUARANTINE, File
from flowbench.loaders.flowlogs import csv as flow_csv
from flowbench.loaders.flowlogs import text as flow_text
from flowbench.loaders.geo import csv as geo_csv
from flowbench.loaders.intel import lists
from flowbench.schema import FLOWS
from tests.loaders.flowlogs.test_text import LINE


def test_every_kind_follows_the_loader_protocol() -> None:
    for kind in registry.KINDS:
        assert isinstance(kind.KIND, str)
        assert registry.tables()[kind.TABLE.name] is kind.TABLE
        if hasattr(kind, "matches"):
            assert hasattr(kind, "to_row") != hasattr(kind, "to_tables")
        if hasattr(kind, "matches_head"):
            assert hasattr(kind, "read") != hasattr(kind, "read_lines")
        assert any(
            hasattr(kind, name) for name in ("matches", "matches_head", "MAGIC", "TRAILER_MAGIC")
        )
    assert len(set(registry.KINDS)) == len(registry.KINDS)
    assert registry.tables()["quarantine"] is QUARANTINE


def test_order_is_as_documented() -> None:
    assert registry.KINDS[0] is flow_text
    order = registry.KINDS.index
    assert all(order(feed) < order(lists) for feed in registry.FEEDS)
    assert registry.kinds_with("matches_head")[0] is flow_text
    assert [kind.KIND for kind in registry.kinds_with("MAGIC")] == ["flow-logs"]


def test_forced_readers() -> None:
    assert registry.FORCED_READERS["flow-logs"] == (flow_csv, flow_text)
    assert registry.FORCED_READERS["geography"] == (geo_csv,)
    assert registry.FORCED_READERS["indicators"][-1] is lists
    names = {kind.KIND for kind in registry.kinds_with("matches_head")}
    assert set(registry.FORCED_READERS) == names


@pytest.mark.parametrize("name", ["extra", "zzz", "flowzeek"])
def test_an_added_kind_does_not_take_over_a_forced_one(tmp_path, monkeypatch, name) -> None:
    """A module that claims every text under the same kind is only asked when nothing is forced."""

    def matches_head(head: bytes) -> bool:
        return True

    def read(file: File) -> Iterator[pa.Table]:
        raise AssertionError(f"{name} was asked to read {file.name}")

    extra = ModuleType(name)
    vars(extra).update(KIND="flow-logs", TABLE=FLOWS, matches_head=matches_head, read=read)
    monkeypatch.setattr(registry, "KINDS", (*registry.KINDS, extra))
    path = Path(tmp_path, "x.log")
    path.write_text(f"not recognised by its head\n{LINE}\n" * 200)
    for text in (path.read_text(), "nothing but words\n" * 3):
        path.write_text(text)
        evidence = dispatch.Evidence.of(path, path.name)
        for _, rows in dispatch.read(evidence, kind="flow-logs"):
            assert "was asked" not in str(rows)
        assert evidence.kind == "flow-logs"
    ((_, rows),) = dispatch.read(evidence)
    assert f"{name} was asked" in rows["reason"][0].as_py()
