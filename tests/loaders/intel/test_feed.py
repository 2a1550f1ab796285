"""What all feed formats share, and all of them on any input and on real feeds."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowbench.errors import BadRecord
from flowbench.loaders import dispatch, registry
from flowbench.loaders.intel.feed import indicator_rows
from tests.loaders.intel.conftest import load_file


def test_a_value_with_its_own_port_and_description() -> None:
    (row,) = indicator_rows("192.0.2.1:8080", feed="Tor\0list", port=443, description="d" * 500)
    assert row == {
        "indicator": "192.0.2.1",
        "type": "address",
        "kind": "tor",
        "feed": "Tor\ufffdlist",
        "port": 8080,
        "description": "d" * 400,
    }


def test_a_range_is_several_rows_of_the_stated_kind() -> None:
    rows = indicator_rows("192.0.2.0-192.0.2.2", feed="x", kind="C&C server", confidence=5)
    assert [(r["indicator"], r["kind"], r["confidence"], r["port"]) for r in rows] == [
        ("192.0.2.0/31", "c2", 5, None),
        ("192.0.2.2", "c2", 5, None),
    ]
    assert indicator_rows("a.example", feed="x")[0]["kind"] == "unspecified"


@pytest.mark.parametrize("value", [None, 5, [], "", "nonsense", "0.0.0.0/0", "a.example/page"])
def test_values_that_are_no_indicator(value) -> None:
    with pytest.raises(BadRecord):
        indicator_rows(value, feed="x")


JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["type", "id", "objects", "pattern", "list", "name", "version", "Event",
                         "info", "Attribute", "value", "to_ids", "indicators", "indicator", "cidr",
                         "sblid", "relays", "or_addresses", "data", "ioc_type", "threat_type"]),
        inner, max_size=5,
    ),
    max_leaves=25,
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(JSONS)
def test_any_json_is_read_or_rejected(value) -> None:
    formats = [
        kind for kind in registry.KINDS if kind.__name__.startswith("flowbench.loaders.intel.")
    ]
    assert len(formats) >= 10
    for kind in formats:
        for record in (kind.matches(value) or ()) if hasattr(kind, "matches") else ():
            try:
                kind.to_row(record)
            except BadRecord:
                continue


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200), st.lists(st.text(max_size=60), max_size=5))
def test_any_text_is_read_or_rejected(head, lines) -> None:
    for kind in registry.KINDS:
        if kind.__name__.startswith("flowbench.loaders.intel.") and hasattr(kind, "matches_head"):
            kind.matches_head(head)
            list(kind.read_lines(enumerate(lines, 1), "list"))


def test_the_real_feeds_in_json(samples: Path) -> None:
    lists = {
        path.parent.name: load_file(path)
        for path in samples.glob("feeds/misp-warninglists/lists/*/*")
    }
    assert len(lists) == 15
    assert {row["kind"] for rows, _, _ in lists.values() for row in rows} == {"allow"}
    assert not any(reasons for _, reasons, _ in lists.values())
    assert len(lists["public-dns-v4"][0]) == 62_745
    assert len(lists["amazon-aws"][0]) == 3_847
    reports = samples / "stix" / "examples" / "threat-reports"
    rows, reasons, _ = load_file(reports / "poisonivy.json")
    assert len(rows) == 63
    assert sorted(reasons) == [
        *["a pattern without address or domain"] * 2,
        "not an address, network, range or domain: 'domain autuo.xicp.net'",
    ]
    assert len(load_file(reports / "apt1.json")[0]) == 7


def test_a_list_with_a_number_as_its_name_is_named_after_its_folders(tmp_path: Path) -> None:
    (tmp_path / "3.txt").write_text("192.0.2.1\n")
    evidence = dispatch.Evidence.of(tmp_path / "3.txt", "ipsum/levels/3.txt")
    ((_, table),) = list(dispatch.read(evidence))
    assert table["feed"].to_pylist() == ["ipsum levels 3"]
