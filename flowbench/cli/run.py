"""flowbench run: a playbook on a case, to HTML."""

from __future__ import annotations

from pathlib import Path

import click

from flowbench.cli import common
from flowbench.errors import InputError


@click.command()
@click.argument("playbook", metavar="NAME", required=False)
@click.option("--case", "case", type=click.Path(path_type=Path), help="The case folder.")
@click.option(
    "--param",
    "parameters",
    multiple=True,
    metavar="NAME=VALUE",
    help="Give a parameter of the playbook's first cell another value.  [repeatable]",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="The HTML file.  [default: CASE/playbooks/NAME.html]",
)
def run(
    playbook: str | None, case: Path | None, parameters: tuple[str, ...], output: Path | None
) -> None:
    """Run the playbook NAME on a case, to an HTML file.

    The file has the notebook with its results, and needs no network. NAME is a playbook that comes
    with flowbench, or the path of a notebook with a cell that has the tag `parameters`. Without
    NAME, list the playbooks. A playbook ends early, with a sentence, where the case lacks the
    evidence that it needs.

    \b
      flowbench run crypto-mining --case cases/winterday
      flowbench run beaconing --case cases/winterday --param host=10.40.0.203
    """  # noqa: D301  # click looks for the character
    from flowbench import playbooks
    from flowbench.cli.progress import show_waiting

    if playbook is None:
        for known in playbooks.list_playbooks():
            click.echo(f"{known.name:<22}{known.title}")
        return
    if case is None:
        raise InputError("no case: add --case FOLDER")
    path = playbooks.find_playbook(playbook)
    opened = common.open_case(case)
    target = output or opened.path / "playbooks" / f"{path.stem}.html"
    if output is None:
        target.parent.mkdir(exist_ok=True)
    given = dict(_split(text) for text in parameters)
    outcome = playbooks.run(path, opened.path, target, given, show_waiting())
    if outcome.ended:
        common.note(f"the playbook ended early: {outcome.ended}")
    click.echo(outcome.path)


def _split(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise InputError(f"--param {text}: write NAME=VALUE")
    return name.strip(), value
