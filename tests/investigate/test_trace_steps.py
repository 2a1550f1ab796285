"""Steps that cite their record."""

from __future__ import annotations

from pathlib import Path

from flowbench.investigate.trace_steps import StepBuilder
from tests.traffic import T0, connect, make_case


def test_a_step_has_its_file_and_an_address_is_the_first(tmp_path: Path) -> None:
    case = make_case(tmp_path, connect("10.0.0.5", "192.0.2.1", 443, T0))
    evidence_id = case.evidence["evidence_id"].iloc[0]
    builder = StepBuilder(case, "10.0.0.5")
    builder.add("interface", "x", "eni-a", **builder.cite(evidence_id, 2, None))
    first, second = builder.done().steps
    assert (first.step, first.value) == ("address", "10.0.0.5")
    assert (second.file, second.line) == ("flows.log", 2)
    assert StepBuilder(case, "eve").done().steps == ()
