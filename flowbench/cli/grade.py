"""flowbench grade: compare a trainee's answers with the key of a scenario."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from flowbench.cli import common


@click.command()
@click.argument("key", type=click.Path(path_type=Path, dir_okay=False))
@click.argument("answers", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@common.output_options
def grade(key: Path, answers: tuple[Path, ...], out: common.Output) -> None:
    """Compare a trainee's ANSWERS with KEY.

    KEY is the answer key of `flowbench scenario`. ANSWERS are CSV files, or folders of them, one
    for each trainee. A timeline has the columns time (UTC), actor, activity and object; what
    `flowbench timeline CASE --format csv` writes is one. A list of indicators has the column
    indicator.

    The score is the share of the key's facts that the timeline states and of its indicators that
    the list has; each benign host or principal in the list costs a point. One trainee has a score
    sheet; several, or --format, give a table with a row for each. Answers of one of several that
    cannot be read have no points, and the exit code is 1.
    """
    from flowbench.scenario.exercises.facts import read_key
    from flowbench.text import escape_lines
    from flowbench.training import grading

    known = read_key(key)
    if len(answers) == 1:
        grades = [grading.grade(known, grading.read_answers(answers[0]))]
        if out.is_terminal:
            click.echo(escape_lines(grades[0].to_text()))
            return
    else:
        grades = grading.grade_class(known, answers)
    columns = ["answers", "score", "facts_stated", "facts", "indicators_found", "indicators"]
    out.write_frame(grading.to_frame(grades), [*columns, "accusations", "rejected"], None)
    unread = [each for each in grades if each.is_unread]
    for each in unread:
        common.note(f"not graded: {each.rejected[0]}")
    if unread:
        sys.exit(common.EXIT_PROBLEMS)
