"""Files of JSON in every arrangement, and invalid JSON in them."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowbench import schema
from flowbench.errors import BadRecord
from flowbench.io.stream import EvidenceStream
from flowbench.loaders import json_file, registry
from flowbench.loaders.base import File


def _row(record: object) -> dict[str, object]:
    if not isinstance(record, dict) or "n" not in record:
        raise BadRecord("no n")
    return {"n": record["n"], "text": record.get("text")}


def _matches(value: object) -> list[object] | None:
    if isinstance(value, dict) and "things" in value:
        return list(value["things"])
    return [value] if isinstance(value, dict) and "n" in value else None


def made(**parts: Any) -> ModuleType:
    kind = ModuleType("things")
    vars(kind).update(parts)
    return kind


KIND = made(
    KIND="things",
    TABLE=schema.Table.of(
        "things", ("n", "int64", ""), ("text", "string", ""), *schema.ORIGIN, schema.ITEM
    ),
    matches=_matches,
    to_row=_row,
)


def read(folder: Path, data: str | bytes) -> tuple[list[tuple], list[tuple], str]:
    path = folder / "x.json"
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    file = File("x.json", "unknown", EvidenceStream(path))
    rows = [
        (row["n"], row["line"], row["item"])
        for _, table in json_file.read(file, [KIND])
        for row in table.to_pylist()
    ]
    return (
        rows,
        [(bad["line"], bad["item"], bad["reason"]) for bad in file.quarantine_rows],
        file.kind,
    )


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ('{"things": [{"n": 1}, {"n": 2}]}', [(1, 1, 1), (2, 1, 2)]),
        ('{"n": 1}\n{"n": 2}\n', [(1, 1, 1), (2, 2, 2)]),
        ('{"n": 1}{"n": 2}', [(1, 1, 1), (2, 1, 2)]),
        ('\ufeff {"n": 1},\r\n\r\n{"n": 2}', [(1, 1, 1), (2, 3, 2)]),
        ('{\n "n":\n 1}\n{"n": 2}', [(1, 1, 1), (2, 4, 2)]),
    ],
)
def test_every_arrangement(tmp_path, text, rows) -> None:
    assert read(tmp_path, text) == (rows, [], "things")


def test_bad_records_and_invalid_json_lose_only_themselves(tmp_path) -> None:
    text = '{"n": 1}\n{"n": }\n{"things": [{}, 5, {"n": 2}]}\n{"other": 1}\n{"n": 3}\n{"n"'
    rows, bad, _ = read(tmp_path, text)
    assert rows == [(1, 1, 1), (2, 3, 4), (3, 5, 5)]
    assert bad == [
        (2, None, "not JSON: Expecting value at line 2, column 7"),
        (3, 2, "no n"),
        (3, 3, "no n"),
        (4, None, "JSON of no kind flowbench knows; its keys: other"),
        (6, None, "the JSON ends early: the file was cut off"),
    ]


def test_values_that_do_not_fit_their_column(tmp_path) -> None:
    rows, bad, _ = read(tmp_path, '{"n": 1}\n{"n": 99999999999999999999}\n{"n": "x"}\n{"n": 4}')
    assert rows == [(1, 1, 1), (4, 4, 4)]
    assert [(line, item) for line, item, _ in bad] == [(2, 2), (3, 3)]
    assert all("does not fit its column" in reason for *_, reason in bad)


def test_deep_nesting(tmp_path) -> None:
    rows, bad, _ = read(tmp_path, "[" * 100_000 + '\n{"n": 1}')
    assert rows == [(1, 2, 1)]
    assert bad == [(1, None, "JSON nested too deeply to be evidence of any kind")]


def test_invalid_utf_8(tmp_path) -> None:
    rows, bad, _ = read(tmp_path, b'{"n": 1}\n\xff\xfe\n{"n": 2}')
    assert rows == [(1, 1, 1), (2, 3, 2)]
    assert bad == [(2, None, "not JSON")]


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["n", "things", "text", "x"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(max_examples=80, deadline=None)
@given(st.lists(ANY_JSON, max_size=4))
def test_any_value_is_a_row_or_quarantined(tmp_path_factory, values) -> None:
    def matches(value: object) -> list[object] | None:
        return [value] if isinstance(value, dict) else None

    kind = made(KIND="any", TABLE=KIND.TABLE, matches=matches, to_row=_row)
    path = tmp_path_factory.mktemp("f") / "x.json"
    path.write_text("\n".join(json.dumps(value) for value in values), encoding="utf-8")
    file = File("x.json", "unknown", EvidenceStream(path))
    rows = sum(table.num_rows for _, table in json_file.read(file, [kind]))
    assert rows + len(file.quarantine_rows) == len(values)


def test_undecodable_keys_in_a_reason(tmp_path) -> None:
    _, bad, _ = read(tmp_path, b'{"a\xff": 1}\n{"b\\ud800": 2}')
    assert [reason for *_, reason in bad] == [
        f"JSON of no kind flowbench knows; its keys: {name}\ufffd" for name in "ab"
    ]


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b'\xef\xbb\xbf\n {"a"', True),
        (b"[1", True),
        (b'x"a":1}\n{"a":1}\n{"a":', True),
        (b'x"a":1}{"a":1}{"a":1}', True),
        (b'{\n"', True),
        (b"", False),
        (b"\n\n", False),
        (b"plain", False),
        (b'version srcaddr\n2 10.0.0.1\n{"a":1}\n2 10.0.0.2\n', False),
        (b'name,json\na,"{""b"":1}"\n', False),
    ],
)
def test_json_is_recognised_also_behind_a_damaged_start(head, expected) -> None:
    assert json_file.is_json(head) is expected


def test_many_broken_lines_are_handed_on_before_the_end(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(json_file, "_QUARANTINE_AT_ONCE", 5)
    path = tmp_path / "x.json"
    path.write_text('{"n": 1}\n' + "{broken\n" * 20)
    file = File("x.json", "unknown", EvidenceStream(path))
    handed_on = []
    for name, _ in json_file.read(file, [KIND]):
        if name == "quarantine":
            handed_on.append(len(file.quarantine_rows))
            file.quarantine_rows.clear()
    assert handed_on == [5, 5, 5, 5]


STIX = {
    "type": "indicator",
    "id": "indicator--00000001-0000-4000-8000-000000000000",
    "created_by_ref": "identity--00000001-0000-4000-8000-000000000000",
    "pattern": "[file:name = 'a']",
}
ATTRIBUTE = {"type": "md5", "value": "aa", "to_ids": True}
PREFIX = {"ip_prefix": "no prefix", "service": "EC2"}


@pytest.mark.parametrize(
    ("value", "own"),
    [
        ({"type": "bundle", "objects": [STIX]}, STIX),
        ({"name": "p", "indicators": [{"type": "FileHash", "indicator": "a"}]}, "FileHash"),
        ({"Event": {"info": "e", "Attribute": [ATTRIBUTE]}}, ATTRIBUTE),
        ({"name": "w", "list": ["a b"], "type": "string", "version": 1}, "a b"),
        ({"createDate": "x", "prefixes": [PREFIX, {"ip_prefix": "10.0.0.0/8"}]}, PREFIX),
    ],
)
def test_the_quarantine_shows_what_stands_in_the_evidence(tmp_path, value, own) -> None:
    path = tmp_path / "x.json"
    path.write_text(json.dumps(value))
    file = File("x.json", "unknown", EvidenceStream(path))
    list(json_file.read(file, registry.kinds_with("matches")))
    (bad,) = file.quarantine_rows
    if own == "FileHash":
        own = value["indicators"][0]
    assert bad["raw"] == (own if isinstance(own, str) else json.dumps(own))
