"""The registry: every detector once, with its metadata, and a file for each."""

from __future__ import annotations

import re
from pathlib import Path

from flowbench.detect import detectors, registered


def test_every_file_of_a_detector_is_registered_once() -> None:
    files = {path.stem for path in Path(detectors.__file__).parent.glob("*.py")} - {"__init__"}
    modules = [module.__name__.rpartition(".")[2] for module in registered().values()]
    assert sorted(modules) == sorted(files)
    assert len(set(modules)) == len(modules)
    assert list(registered()) == [module.DETECTOR.id for module in registered().values()]


def test_metadata_is_complete() -> None:
    for name, module in registered().items():
        detector = module.DETECTOR
        assert name == module.__name__.rpartition(".")[2].replace("_", "-")
        assert detector.title
        assert detector.question.endswith("?")
        assert re.fullmatch(r"T\d{4}(\.\d{3})?", detector.technique)


def test_docstrings_state_question_and_method() -> None:
    for module in registered().values():
        assert "Question:" in module.__doc__
        assert "Method:" in module.__doc__
