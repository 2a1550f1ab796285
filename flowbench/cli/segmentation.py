"""The command that holds a segmentation policy against what was seen."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from flowbench.cli.common import BAD_ANSWER, answers, case_argument, main, open_case
from flowbench.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from flowbench.segmentation.evaluation import Judgement


@main.command()
@case_argument
@click.argument("policy", required=False, type=click.Path(path_type=Path))
@click.option(
    "--show",
    type=click.Choice(["violations", "rules", "groups"]),
    default="violations",
    show_default=True,
    help="What is answered: findings, what became of each rule, or group by group.",
)
@click.option("--keep", is_flag=True, help="Keep the policy with the case: detect asks it then.")
@click.option(
    "--figure",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Draw group by group into this HTML file.",
)
@answers
def segmentation(
    case: Path,
    policy: Path | None,
    show: str,
    keep: bool,
    figure: Path | None,
    form: str,
    output: Path | None,
) -> None:
    """What in CASE is against a segmentation POLICY, and which of its rules did nothing use?

    POLICY is a YAML file of groups and rules; without it the policy that is kept with the case is
    evaluated. Exit code 1 when something forbidden passed.
    """
    from flowbench.cli import output as out
    from flowbench.detect.detectors.segmentation import findings
    from flowbench.segmentation import policy as policies
    from flowbench.segmentation.evaluation import Judgement

    opened = open_case(case)
    text = opened.policy if policy is None else policies.load(policy)
    if text is None:
        raise InputError(f"{case} keeps no policy: give a file, with --keep to keep it")
    judged = Judgement(opened, policies.parse(text, str(policy or "the policy of the case")))
    if keep and policy is not None:
        opened.keep_policy(text)
    found, rules, groups = findings(judged), judged.rules(), judged.cells()
    shown = {
        "violations": (found, ["severity", "first_seen", "subject", "connections", "why"]),
        "rules": (
            rules,
            ["line", "verdict", "state", "connections", "rejected", "overruled", "rule"],
        ),
        "groups": (
            groups,
            ["source", "target", "verdict", "connections", "violations", "attempts", "ports"],
        ),
    }
    frame, columns = shown[show]
    if len(frame) or form != "table":
        out.write(frame, form, output, columns=columns)
    if figure is not None:
        _draw(groups, figure)
    _say(judged, rules)
    if (rules["state"] == "violated").any():
        raise SystemExit(BAD_ANSWER)


def _draw(groups: pd.DataFrame, figure: Path) -> None:
    from flowbench import plot

    page = plot.matrix(groups).to_html(include_plotlyjs=True, div_id="matrix")
    try:
        figure.write_text(page, encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot write {figure}: {error.strerror}") from error


def _say(judged: Judgement, rules: pd.DataFrame) -> None:
    from flowbench.text import escape_controls

    first, last = judged.case.span
    when = f"{first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC" if first else "no records"
    words = {
        "unused": "nothing used it",
        "overruled": "rules before it decided all that fits it",
    }
    said = rules.iloc[:-1]  # the default, the last one, is no rule
    for row in said[said["state"].isin(list(words))].itertuples():
        click.echo(f"line {row.line}, {escape_controls(row.rule)}: {words[row.state]}", err=True)
    for name in judged.empty:
        click.echo(f"group {escape_controls(name)}: no address of the case belongs to it", err=True)
    bad = rules[rules["verdict"] == "must not"]
    passed = int((bad["connections"] - bad["rejected"]).sum())
    click.echo(
        f"{passed:,} connections against the policy, {int(bad['refused'].sum()):,} refused"
        f" attempts ({when})",
        err=True,
    )
