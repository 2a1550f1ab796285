"""Streams of JSON values: each value with its line, however the bytes are cut."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowbench.io import json_stream
from flowbench.io.json_stream import InvalidJson, read_values


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


def test_values_have_the_line_on_which_they_start() -> None:
    text = '\ufeff{"a":\n 1}{"b": 2}\r\n\r\n[3],\n4 "five"\nnull'
    assert list(read_values(iter([text.encode()]))) == [
        *((1, {"a": 1}), (2, {"b": 2}), (4, [3])),
        *((5, 4), (5, "five"), (6, None)),
    ]


MIXED = (
    '{"text": "ü\\u00fc\\ud83d\\ude00 \\\\", "n": [1.5e3, -12, true]}\n'
    '[{}]{"b": null}\n12 13\n'
    '{"bad" 1}\n{"good": "\ud7ff"}\nnonsense\n[false]\n{"open": "'
).encode()


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64])
def test_chunk_boundaries_do_not_matter(monkeypatch, size) -> None:
    whole = list(read_values(iter([MIXED])))
    assert [value for _, value in whole if not isinstance(value, InvalidJson)] == [
        {"text": "üü😀 \\", "n": [1500.0, -12, True]},
        *([{}], {"b": None}, 12, 13, {"good": "\ud7ff"}, [False]),
    ]
    bad = [(line, value) for line, value in whole if isinstance(value, InvalidJson)]
    assert [(line, value.reason, value.raw) for line, value in bad] == [
        (4, "not JSON: Expecting ':' delimiter at line 4, column 8", b'{"bad" 1}'),
        (6, "not JSON", b"nonsense"),
        (8, "the JSON ends early: the file was cut off", b'{"open": "'),
    ]
    monkeypatch.setattr(json_stream, "_CHUNK", 1)
    assert list(read_values(iter(cut(MIXED, size)))) == whole


def test_error_column_counts_from_a_line_start_no_longer_in_memory(monkeypatch) -> None:
    monkeypatch.setattr(json_stream, "_CHUNK", 8)
    found = list(read_values(iter(cut(b'{"a": 1}{"a": 2}{"a": 3}{"a" 4}      ' + b" " * 40, 8))))
    assert found[-1][1].reason == "not JSON: Expecting ':' delimiter at line 1, column 30"


def test_memory_holds_a_few_chunks(monkeypatch) -> None:
    monkeypatch.setattr(json_stream, "_CHUNK", 1 << 10)
    read = 0

    def chunks():
        nonlocal read
        for _ in range(1_000):
            read += 1
            yield b'{"n": 1}\n' * 100

    ahead = [read - number // 100 for number, _ in enumerate(read_values(chunks()))]
    assert len(ahead) == 100_000
    assert max(ahead) <= 4


def test_long_value_is_not_parsed_again_for_every_chunk(monkeypatch) -> None:
    monkeypatch.setattr(json_stream, "_CHUNK", 100)
    tried = 0
    decode = json.JSONDecoder.raw_decode

    def counted(self, text, start=0):
        nonlocal tried
        tried += 1
        return decode(self, text, start)

    monkeypatch.setattr(json.JSONDecoder, "raw_decode", counted)
    document = json.dumps([{"n": n} for n in range(10_000)]).encode()
    ((line, value),) = read_values(iter(cut(document, 100)))
    assert (line, len(value)) == (1, 10_000)
    assert tried < 20


def test_oversized_value_ends_the_reading(monkeypatch) -> None:
    monkeypatch.setattr(json_stream, "MAX_VALUE", 1_000)
    monkeypatch.setattr(json_stream, "_CHUNK", 100)
    data = b'{"n": 1}\n["' + b"x" * 50_000 + b'"]\n{"n": 2}'
    first, second = read_values(iter(cut(data, 100)))
    assert first == (1, {"n": 1})
    assert second[0] == 2
    assert second[1].reason.startswith("a JSON value of more than")
    assert len(second[1].raw) < 5_000


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=9) | st.none()),
        max_size=6,
    ),
    st.sampled_from(["", "\n", "\r\n", ", ", " \n\n"]),
    st.integers(1, 40),
)
def test_written_values_are_read_back(objects, between, size) -> None:
    data = between.join(json.dumps(each, ensure_ascii=False) for each in objects)
    data = data.encode("utf-8", "surrogatepass").replace(b"\xed", b"?")
    found = [value for _, value in read_values(iter(cut(data, size)))]
    assert found == [value for _, value in read_values(iter([data]))]
    assert len([value for value in found if not isinstance(value, InvalidJson)]) == len(objects)
