"""The examples in docs/add-a-detector.md and docs/add-a-loader.md run as they are printed."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType
from unittest import mock

import pytest

from flowbench.loaders import aws
from tests.traffic import T0, connect, make_case, reject

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"`([\w/]+\.py)`:\n\n```python\n(.*?)```", re.DOTALL)


@pytest.fixture(scope="module")
def examples() -> dict[str, str]:
    pages = [ROOT / "docs" / f"add-a-{what}.md" for what in ("detector", "loader")]
    return dict(BLOCK.findall("\n".join(page.read_text(encoding="utf-8") for page in pages)))


def load(examples: dict[str, str], path: str) -> ModuleType:
    module = ModuleType(Path(path).stem)
    exec(compile(examples[path], path, "exec"), module.__dict__)
    return module


def test_each_example_has_its_module_and_its_test(examples) -> None:
    modules = [path for path in examples if path.startswith("flowbench/")]
    assert len(modules) == 3
    for path in modules:
        folder = Path(path).parent.relative_to("flowbench")
        assert f"tests/{folder}/test_{Path(path).name}" in examples
        assert not (ROOT / path).exists()  # an example, not a copy


def test_the_detector_finds_what_it_describes(examples, tmp_path) -> None:
    module = load(examples, "flowbench/detect/detectors/outbound_smb.py")
    host, peer = "10.0.0.5", "203.0.113.9"
    records = [*connect(host, peer, 445, T0), *connect(host, "10.0.1.9", 445, T0)]
    records.append(reject(host, "203.0.113.10", 139, T0, flow_direction="egress"))
    case = make_case(tmp_path, records)
    findings = {finding.peer: finding for finding in module.find(case)}
    assert {p: f.severity for p, f in findings.items()} == {peer: "high", "203.0.113.10": "medium"}
    assert len(case.evidence_for(findings[peer])) == 2
    assert module.find(case, min_connections=2) == []


def test_the_feed_is_recognised_and_read(examples) -> None:
    module = load(examples, "flowbench/loaders/intel/c2intel.py")
    assert module.matches_head(b"#ip,ioc\n192.0.2.1,x\n")
    assert not module.matches_head(b"192.0.2.1\n")
    lines = [(1, "#ip,ioc"), (2, "192.0.2.1,Possible C2"), (3, "nonsense here")]
    row, rejected = module.read_lines(lines, "list.csv")
    assert (row["indicator"], row["kind"], row["line"]) == ("192.0.2.1", "c2", 2)
    assert rejected[:2] == (3, "nonsense here")


def test_the_aws_evidence_is_recognised_and_read(examples) -> None:
    module = load(examples, "flowbench/loaders/aws/vpc_endpoints.py")
    with mock.patch.dict(sys.modules):
        sys.modules["flowbench.loaders.aws.vpc_endpoints"] = module
        with mock.patch.object(aws, "vpc_endpoints", module, create=True):
            test = load(examples, "tests/loaders/aws/test_vpc_endpoints.py")
    (parametrized,) = test.test_containers.pytestmark
    for value, expected in parametrized.args[1]:
        test.test_containers(value, expected)
    test.test_values_of_an_endpoint()
    test.test_an_endpoint_without_an_id_is_rejected()


def test_the_example_tests_compile(examples) -> None:
    for path, text in examples.items():
        assert compile(text, path, "exec")
