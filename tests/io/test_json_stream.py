"""Streams of JSON values: each value with its line, however the bytes are cut."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowbench.io import json_stream, json_text
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
    monkeypatch.setattr(json_text, "_CHUNK", 1)
    assert list(read_values(iter(cut(MIXED, size)))) == whole


def test_error_column_counts_from_a_line_start_no_longer_in_memory(monkeypatch) -> None:
    monkeypatch.setattr(json_text, "_CHUNK", 8)
    found = list(read_values(iter(cut(b'{"a": 1}{"a": 2}{"a": 3}{"a" 4}      ' + b" " * 40, 8))))
    assert found[-1][1].reason == "not JSON: Expecting ':' delimiter at line 1, column 30"


def test_memory_holds_a_few_chunks(monkeypatch) -> None:
    monkeypatch.setattr(json_text, "_CHUNK", 1 << 10)
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
    monkeypatch.setattr(json_text, "_CHUNK", 100)
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
    monkeypatch.setattr(json_text, "MAX_VALUE", 1_000)
    monkeypatch.setattr(json_text, "_CHUNK", 100)
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


def values_of(text: str | bytes, size: int = 1 << 20) -> list[tuple[int, object]]:
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    return [
        (line, value.raw.decode("utf-8", "replace") if isinstance(value, InvalidJson) else value)
        for line, value in read_values(iter(cut(data, size)))
    ]


BROKEN = [
    *('{"a" 1}', '{"a":1,,}', '{"a":', '{"a":1', '{"a":"x', '"x', "nonsense", "}", "]", '{"a":1}x'),
    *('{"a":1}]', '{"a":1} 2', "{'a':1}", '{"a":01}', '{"a":[1}', "\x01", "\ud800", "{", "{}}"),
]


@pytest.mark.parametrize("end", ["\n", "\r\n", ",\n"])
@pytest.mark.parametrize("broken", BROKEN)
def test_a_broken_line_costs_itself_only(broken, end) -> None:
    """Also after it: no line of a file with one value a line vanishes into another's entry."""
    good = {"n": 1}
    lines = [json.dumps(good), broken, json.dumps(good), broken, broken, json.dumps(good)]
    found = values_of(end.join(lines) + end)
    assert [line for line, _ in found] == [1, 2, 3, 4, 5, 6]
    assert [value for _, value in found if value == good] == [good] * 3
    assert [value for _, value in found][1].rstrip(",") == broken.replace("\ud800", "\ufffd" * 3)


@pytest.mark.parametrize("first", ["x", "{{", '{"a" '])
def test_a_damaged_start_costs_the_first_of_values_in_one_line(first) -> None:
    values = [{"n": 1, "o": {"p": []}}, {"n": 2}, {"n": 3}]
    text = "".join(json.dumps(value, separators=(",", ":")) for value in values)
    found = values_of(first + text[1:])
    assert [value for _, value in found] == [first + '"n":1,"o":{"p":[]}}', *values[1:]]


def test_a_cut_line_after_two_values_in_a_line_takes_no_other_line() -> None:
    good = '{"Records": [{"n": 1}]}'
    found = values_of(f'{good}\n{good}{good}\n{{"Records": [\n{good}\n{good}\n')
    assert [line for line, value in found if isinstance(value, dict)] == [1, 2, 2, 4, 5]
    assert [(line, value) for line, value in found if isinstance(value, str)] == [
        (3, '{"Records": [')
    ]


LIST = [{"n": n, "o": {"p": [{"q": n}]}} for n in range(6)]


@pytest.mark.parametrize("indent", [None, 1, 4])
@pytest.mark.parametrize("name", [None, "Records", "events"])
@pytest.mark.parametrize("place", [0, 3, 5])
def test_a_broken_element_costs_itself_only(indent, name, place) -> None:
    document = LIST if name is None else {"version": "1", name: LIST, "after": [1]}
    text = json.dumps(document, indent=indent).replace(f'"n": {place},', '"n" 1,')
    found = values_of(text + "\n" + '{"last": 1}\n')
    assert found.pop()[1] == {"last": 1}
    pieces = [value for _, value in found if not isinstance(value, str)]
    (entry,) = [value for _, value in found if isinstance(value, str)]
    elements = [each for piece in pieces for each in (piece if name is None else piece[name])]
    assert elements == LIST[:place] + LIST[place + 1 :]
    assert all(name is None or piece["version"] == "1" for piece in pieces)
    assert '"n" 1' in entry


def test_what_comes_before_a_cut_is_kept() -> None:
    text = json.dumps({"Records": LIST})
    found = list(read_values(iter([text[:-30].encode()])))
    assert found[0] == (1, {"Records": LIST[:5]})
    assert found[1][1].reason == "the JSON ends early: the file was cut off"


@pytest.mark.parametrize("name", [None, "Records", "logEvents"])
@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("size", [7, 1 << 20])
def test_long_documents_come_in_pieces_with_what_stands_before_the_list(
    monkeypatch, name, indent, size
) -> None:
    monkeypatch.setattr(json_stream, "MAX_WHOLE", 400)
    monkeypatch.setattr(json_stream, "MAX_PIECE", 100)
    monkeypatch.setattr(json_text, "_CHUNK", 64)
    elements = [{"n": n, "text": "ü]}," * (n % 5)} for n in range(200)]
    before = {"owner": "x", "list": [1, 2]}
    document = elements if name is None else {**before, name: elements, "after": {"m": [0]}}
    text = json.dumps(document, indent=indent) + '\n{"last": 1}'
    *pieces, last = values_of(text, size)
    assert last == (1 + text.count("\n"), {"last": 1})
    assert len(pieces) > 10
    assert {line for line, _ in pieces} == {1}
    assert [e for _, p in pieces for e in (p if name is None else p[name])] == elements
    assert all(name is None or piece.keys() == {"owner", "list", name} for _, piece in pieces)


def test_a_long_document_without_such_a_list_comes_as_a_whole(monkeypatch) -> None:
    monkeypatch.setattr(json_stream, "MAX_WHOLE", 400)
    document = {"type": "bundle", "objects": [{"n": n} for n in range(200)]}
    assert values_of(json.dumps(document) + "\n[1]", 50) == [(1, document), (2, [1])]


@pytest.mark.parametrize(
    "unit",
    [
        *('{"a":1,,}\n', '{"a":\n', "[1,\n", '{"a":{"b":\n', "[[[\n", "{}x\n", '{"a":"', '{"b" 1}'),
        *('[{"a":"\n', '{"Records":[{"a":1},,{', '{"Records":[\n', '[{"a":1},{"b" 1},\n'),
    ],
)
def test_broken_text_takes_linear_time(monkeypatch, unit) -> None:
    """Counted, not timed: the characters that are decoded, and those before an error."""
    decoded = 0
    decode = json.JSONDecoder.raw_decode

    def counted(self, text, idx=0):
        nonlocal decoded
        try:
            value, end = decode(self, text, idx)
        except json.JSONDecodeError as error:
            decoded += error.pos - idx
            raise
        decoded += end - idx
        return value, end

    monkeypatch.setattr(json.JSONDecoder, "raw_decode", counted)
    text = unit * (200_000 // len(unit)) + '\n{"last": 1}\n'
    found = values_of(text)
    assert decoded < 20 * len(text) + (2 << 20)
    if unit.endswith("\n") and "[" not in unit:
        assert found[-1][1] == {"last": 1}


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.sampled_from(BROKEN) | st.text('{}[]",:1\\x ', max_size=12), max_size=8),
    st.integers(1, 40),
)
def test_no_line_vanishes(noise, size) -> None:
    """After a good line, each line has at least one value or entry, whatever it is."""
    lines = ['{"n": 1}', *noise, '{"n": 2}']
    found = values_of("\n".join(lines).encode("utf-8", "replace"), size)
    assert found == values_of("\n".join(lines).encode("utf-8", "replace"))
    text = "\n".join(lines)
    kept = "".join(str(value) for _, value in found)
    assert set(text) - set(kept) <= set(' \n\r\t,\\"\ud800')
