"""JSON text in memory: what is read for a value, positions and lines, and giving up."""

from __future__ import annotations

import json
import re

import pytest

from flowbench.io import json_text
from flowbench.io.json_text import JsonText, encode_text


def text_of(data: str, size: int = 3) -> JsonText:
    raw = data.encode()
    text = JsonText(iter(raw[start : start + size] for start in range(0, len(raw), size)))
    assert text.skip_space()
    return text


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch):
    monkeypatch.setattr(json_text, "_CHUNK", 4)


def test_values_and_their_lengths_lines_and_what_comes_before() -> None:
    text = text_of(' {"a": [1,\n 2]}\r\n, 12345678901234567890 "b"')
    assert (text.line, text.before()) == (1, " ")
    assert text.decode() == ({"a": [1, 2]}, 14)
    text.consume(14)
    assert (text.line, text.decode()) == (3, (12345678901234567890, 20))
    text.consume(20)
    assert (text.decode(), text.char(0), text.char(3)) == (("b", 3), '"', "")
    text.consume(3)
    assert not text.skip_space()


def test_no_more_is_read_than_the_limit_allows() -> None:
    text = text_of(json.dumps(["x" * 500]))
    with pytest.raises(ValueError, match="Unterminated"):
        text.decode(limit=40)
    assert 40 < text.size < 200
    assert text.decode() == (["x" * 500], 504)


def test_search_and_peek_read_on() -> None:
    text = text_of("abc   d" + "e" * 100 + "\nf")
    assert text.search(re.compile(r"\n"), 0) == 108
    assert text.search(re.compile(r"\n"), 108) is None
    assert text_of("ab    c").peek(re.compile(r" *"), 2) == "c"
    assert text_of("ab    ").peek(re.compile(r" *"), 2) == ""
    assert text_of("a" * 500).search(re.compile("b"), 0, limit=20) is None


def test_taken_bytes_are_those_of_the_file() -> None:
    text = JsonText(iter([b"x\xff\xc3\xa4 \nne"]))
    assert text.skip_space()
    assert text.take(text.search(re.compile("\n"), 0)) == b"x\xff\xc3\xa4"
    assert (text.line, text.take(None)) == (2, b"ne")
    assert encode_text("\ud800") == b"\\ud800"


def test_decoding_in_vain_is_noted(monkeypatch) -> None:
    monkeypatch.setattr(json_text, "_MAX_FAILED", 50)
    text = text_of('{"a": 1, 2}' * 30)
    for attempt in range(6):
        assert text.is_hopeless == (attempt > 5)
        with pytest.raises(ValueError, match="Expecting property name") as caught:
            text.decode()
        assert text.offset(caught.value) == 9
    assert text.is_hopeless
    text.take(11)
    assert not text.is_hopeless  # it went on


def test_reasons_name_line_and_column() -> None:
    text = text_of('{"a":\n  1 2}')
    with pytest.raises(ValueError, match="delimiter") as caught:
        text.decode()
    assert text.describe(caught.value) == "not JSON: Expecting ',' delimiter at line 2, column 5"
    assert text.offset(RecursionError()) is None
    assert "nested too deeply" in text.describe(RecursionError())
