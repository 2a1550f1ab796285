"""flowbench trace: from an address to the principal, and from a principal to its consequences."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import click

from flowbench.cli import common
from flowbench.cli.files import write_figure
from flowbench.cli.filters import filter_options
from flowbench.cli.terminal import find_width
from flowbench.text import escape_controls, format_time

if TYPE_CHECKING:
    from flowbench.investigate.filters import Filters
    from flowbench.investigate.trace import Step, Trace


_MOST_TEXT = 1_200  # characters of a step on a terminal


@click.command()
@common.case_argument
@click.argument("what")
@click.option(
    "--at",
    metavar="TIME",
    help="Time at which an address was assigned, UTC.  [default: its last record]",
)
@click.option(
    "--figure",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Also draw the chain, as a page (HTML).",
)
@filter_options()
@common.output_options
def trace(
    case: Path,
    what: str,
    at: str | None,
    figure: Path | None,
    filters: Filters,
    out: common.Output,
) -> None:
    """Trace WHAT to its creator, and to what it did.

    An address, interface, instance or Name tag is traced to the API call that created it, its
    principal, who created that one, its other calls by ATT&CK tactic, what these created, and where
    its addresses occur in the flow logs; an address also to who called the API from it. A user,
    role, role session or access key is traced to its creator and its calls, and to the activity of
    its sessions, keys, users, roles and instances. --from and --until select these calls; what
    created or ended a resource is shown whenever it was. Each step names the record that supports
    it; a gap says what the evidence lacks. CloudTrail names the credentials that were used, not the
    person.
    """
    import pandas as pd

    from flowbench.fetch.bucket_layout import parse_time
    from flowbench.investigate import attribution

    time = None if at is None else pd.Timestamp(parse_time(at))
    trace = attribution.trace(common.open_case(case), what, time, filters)
    if figure is not None:
        from flowbench import plot

        write_figure(plot.chain(trace), figure, "chain")
    if out.is_terminal:
        print_steps(trace)
    else:
        out.write(trace.to_pandas())


def print_steps(trace: Trace) -> None:
    """Print the steps of each kind below their title, each with its time and its record."""
    width = find_width(sys.stdout)
    files = list(dict.fromkeys(step.file for step in trace.steps if step.file is not None))
    for kind, steps in groupby(trace.steps, key=lambda step: step.step):
        click.echo(click.style(kind.capitalize(), bold=True))
        for step in steps:
            _print_step(step, files, width)
    if files:
        click.echo(click.style("Files ([file:line:item])", bold=True))
        for number, file in enumerate(files, 1):
            click.echo(f"  [{number}] {escape_controls(file)}")


def _print_step(step: Step, files: Sequence[str], width: int | None) -> None:
    from flowbench.cli.table import wrap

    time = format_time(step.time, seconds=True) if step.time is not None else ""
    text = step.description
    if len(text) > _MOST_TEXT:
        text = f"{text[:_MOST_TEXT]}…"  # --format csv has all of it
    text = f"{time}  {text}" if time else text
    if step.file is not None:
        place = (files.index(step.file) + 1, step.line, step.item)
        text += f" [{':'.join(str(number) for number in place if number is not None)}]"
    text = escape_controls(text)
    lines = [text] if width is None else list(wrap(text, max(width - 4, 20)))
    for number, line in enumerate(lines):
        click.echo(f"{'  ' if number == 0 else '    '}{line}")
