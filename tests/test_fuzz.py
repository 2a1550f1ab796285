"""Damaged files of every form of flow log, as in ``benchmarks/fuzz.py``, but few."""

from __future__ import annotations

import importlib.util
import sys

import pytest

from tests.conftest import ROOT

spec = importlib.util.spec_from_file_location("fuzz", ROOT / "benchmarks" / "fuzz.py")
assert spec is not None
assert spec.loader is not None
fuzz = importlib.util.module_from_spec(spec)
sys.modules["fuzz"] = fuzz
spec.loader.exec_module(fuzz)


@pytest.mark.parametrize("form", [*fuzz.FORMS, "Parquet"])
def test_each_damaged_line_is_a_record_or_quarantined_and_twice_the_same(tmp_path, form) -> None:
    lines, records, entries, problems = fuzz.try_form(form, 400, 7, tmp_path)
    assert problems == []
    assert lines == 400
    assert records > 50
    assert entries > 10
