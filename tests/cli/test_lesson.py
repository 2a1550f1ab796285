"""Tests of flowbench lesson."""

from __future__ import annotations

from pathlib import Path

from flowbench.training import open_lesson
from tests.cli.running import run
from tests.training.test_lesson_files import PLAIN


def test_a_trainers_lesson_is_written_without_answers(tmp_path: Path) -> None:
    source, path = tmp_path / "plain.yaml", tmp_path / "lesson.yaml"
    source.write_text(PLAIN, encoding="utf-8")
    result = run("lesson", source, "-o", path)
    assert result.exit_code == 0, result.output
    assert "lesson.yaml: 4 questions" in result.output
    assert "10.0.0.5" not in path.read_text(encoding="utf-8")
    assert open_lesson(str(path), tmp_path / "work").check("host", "10.0.0.5").right is True


def test_the_answers_are_not_overwritten(tmp_path: Path) -> None:
    source = tmp_path / "plain.yaml"
    source.write_text(PLAIN, encoding="utf-8")
    result = run("lesson", source, "-o", source)
    assert (result.exit_code, source.read_text(encoding="utf-8")) == (2, PLAIN)
    assert "has the answers: choose another file" in result.output
    source.write_text("questions: 7", encoding="utf-8")
    assert run("lesson", source, "-o", tmp_path / "x.yaml").exit_code == 2
