"""flowbench segmentation: evaluate a segmentation policy."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from flowbench.cli import common
from flowbench.cli.filters import filter_options
from flowbench.errors import InputError
from flowbench.text import escape_controls, format_count, format_period

if TYPE_CHECKING:
    import pandas as pd

    from flowbench.investigate.filters import Filters
    from flowbench.segmentation import Evaluation

_COLUMNS = {
    "violations": "severity subject summary connections first_seen finding_id",
    "rules": "line verdict state connections rejected rule shadowed",
    "groups": "initiator_group responder_group verdict connections violations attempts ports",
}
_UNUSED_REASONS = {
    "unused": "no connection matches",
    "shadowed": "earlier rules decide every connection that it matches",
}


@click.command()
@common.case_argument
@click.argument("policy", required=False, type=click.Path(path_type=Path))
@click.option(
    "--show",
    type=click.Choice(list(_COLUMNS)),
    default="violations",
    show_default=True,
    help="Result: findings, the state of each rule, or the matrix of groups.",
)
@click.option("--keep", is_flag=True, help="Keep the policy in the case, for `flowbench detect`.")
@click.option(
    "--figure",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Draw the matrix of groups into this HTML file.",
)
@filter_options("peer", "port", "rejected")
@common.output_options
def segmentation(  # each is an option
    case: Path,
    policy: Path | None,
    show: str,
    keep: bool,
    figure: Path | None,
    filters: Filters,
    out: common.Output,
) -> None:
    """Evaluate a segmentation POLICY against CASE's connections.

    POLICY is a YAML file of groups and rules, of countries, or of both; by default the policy kept
    in the case. Exit code 1 if a connection violates the policy. The filters select which
    violations are listed; they do not change the exit code or the other results.
    """
    import pandas as pd

    from flowbench.cli import output
    from flowbench.detect import Findings
    from flowbench.detect.detectors.geography import check_countries
    from flowbench.detect.detectors.segmentation import findings
    from flowbench.investigate.filters import filter_findings
    from flowbench.segmentation import evaluate, parse_policy, read_policy_text

    opened = common.open_case(case)
    text = opened.policy if policy is None else read_policy_text(policy)
    if text is None:
        raise InputError(f"{case} has no policy: give a file, with --keep to keep it")
    evaluation = evaluate(opened, parse_policy(text, str(policy or "the policy of the case")))
    if keep and policy is not None:
        opened.set_policy(text)
    in_countries, countries = check_countries(opened, evaluation.policy)
    violations = filter_findings(Findings([*findings(evaluation), *in_countries]), filters)
    rules, groups = evaluation.rule_results(), evaluation.cells()
    columns = _COLUMNS[show].split()
    if show != "violations":
        all_rules = pd.concat([rules, countries]) if len(countries) else rules
        out.write(all_rules if show == "rules" else groups, columns)
    elif len(violations) or not out.is_terminal:
        output.write_findings(violations, out.format, out.path, columns=columns)
    if figure is not None:
        _write_figure(groups, figure)
    if evaluation.policy.rules or countries.empty:
        _note_rules(evaluation, rules)
    _note_countries(countries)
    if "violated" in {*rules["state"], *countries["state"]}:
        raise SystemExit(common.EXIT_PROBLEMS)


def _write_figure(groups: pd.DataFrame, figure: Path) -> None:
    from flowbench import plot

    page = plot.matrix(groups).to_html(include_plotlyjs=True, div_id="matrix")
    try:
        figure.write_text(page, encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot write {figure}: {error.strerror}") from error


def _note_countries(countries: pd.DataFrame) -> None:
    """Note how many connections the policy's countries prohibit, if it has any."""
    for row in countries.itertuples():
        accepted = format_count(row.connections - row.rejected, "connection")
        attempts = format_count(row.rejected, "rejected attempt")
        common.note(f"{row.rule}: {accepted} to prohibited countries, {attempts}")


def _note_rules(evaluation: Evaluation, rules: pd.DataFrame) -> None:
    """Note unused rules, empty groups, and how many connections violate the policy."""
    own_rules = rules.iloc[:-1]  # the last one is the default
    for row in own_rules[own_rules["state"].isin(list(_UNUSED_REASONS))].itertuples():
        common.note(f"line {row.line}, {escape_controls(row.rule)}: {_UNUSED_REASONS[row.state]}")
    for name in evaluation.empty_groups:
        common.note(f"group {escape_controls(name)}: no address of the case belongs to it")
    denied = rules[rules["verdict"] == "deny"]
    violations = format_count(int((denied["connections"] - denied["rejected"]).sum()), "connection")
    attempts = format_count(int(denied["rejected"].sum()), "rejected attempt")
    first, last = evaluation.case.span
    period = format_period(first, last) if first is not None and last is not None else "no records"
    common.note(f"{violations} against the policy, {attempts} ({period})")
