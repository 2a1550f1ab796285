"""flowbench lesson: a trainer's lesson, ready for trainees."""

from __future__ import annotations

from pathlib import Path

import click

from flowbench.cli import common
from flowbench.errors import InputError
from flowbench.text import format_count


@click.command()
@click.argument("source", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "-o",
    "--output",
    "path",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="The lesson file for trainees (.yaml).",
)
def lesson(source: Path, path: Path) -> None:
    """Prepare a trainer's lesson for trainees.

    Digests take the place of the answers. SOURCE is YAML with questions, answers, hints, and
    explanations of typical wrong answers; docs/training.md describes it. In a notebook,
    `fb.training.open_lesson("FILE")` opens the lesson, and `lesson.check("question", answer)`
    checks an answer.
    """
    from flowbench.io import atomic
    from flowbench.training import lesson_files

    if path.exists() and path.samefile(source):
        raise InputError(f"{path} has the answers: choose another file")
    content = lesson_files.read_content(source)
    text = lesson_files.replace_answers(content)
    try:
        atomic.write_bytes(path, text.encode())
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from error
    read = lesson_files.read_lesson(path)
    common.note(f"{path}: {format_count(len(read.questions), 'question')}")
