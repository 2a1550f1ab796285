"""Steps that cite their record."""

from __future__ import annotations

from pathlib import Path

from flowbench.investigate.trace_steps import StepBuilder
from tests.traffic import T0, connect, make_case


def test_a_step_has_its_file_and_an_address_its_first_record(tmp_path: Path) -> None:
    case = make_case(tmp_path, connect("10.0.0.5", "192.0.2.1", 443, T0))
    evidence_id = case.evidence["evidence_id"].iloc[0]
    builder = StepBuilder(case, "10.0.0.5")
    builder.add("interface", "x", "eni-a", **builder.cite(evidence_id, 2, None))
    (step,) = builder.done().steps
    assert (step.file, step.line) == ("flows.log", 2)
    cited = builder.cite_flow("192.0.2.1", step.time)
    assert (cited["file"], cited["line"]) == ("flows.log", 2)
    assert builder.cite_flow("192.0.2.7") == {}
