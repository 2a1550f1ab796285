"""The command that measures the detectors."""

from __future__ import annotations

from pathlib import Path

import click

from flowbench.cli.common import answers, main


@main.command()
@click.argument("logs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--labels",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="CSV with src, dst, label (malicious, benign, background, unknown), kind.",
)
@click.option(
    "--window",
    type=click.Choice(["60", "600"]),
    help="Merge the records into capture windows of so many seconds first.",
)
@click.option(
    "--feeds", multiple=True, type=click.Path(path_type=Path), help="Indicator lists to load too."
)
@click.option(
    "--least",
    type=click.Choice(["low", "medium", "high", "critical"]),
    default="low",
    show_default=True,
    help="The lowest severity that counts.",
)
@answers
def evaluate(
    logs: tuple[Path, ...],
    labels: Path,
    window: str | None,
    feeds: tuple[Path, ...],
    least: str,
    form: str,
    output: Path | None,
) -> None:
    """Hold the detectors against labelled LOGS: what each caught, missed and accused wrongly.

    A label names a pair of addresses, in either direction; an empty dst is any. Pairs that no label
    names, or that are unknown, do not count. A row of a malicious kind is measured against all
    benign and background pairs; a row of another kind shows that kind's own.
    """
    from flowbench.cli import output as out
    from flowbench.detect import evaluate as measuring

    done = measuring.evaluate(
        logs, labels, window=int(window) if window else None, feeds=feeds, least=least
    )
    table = done.table
    if form != "table" or output is not None:
        out.write(table, form, output)
    else:
        shown = table.rename(columns={"recall": "share"})
        shown.insert(4, "missed", shown["pairs"] - shown["caught"])
        silent = (shown["pairs"] == 0) & (shown[["false_benign", "false_background"]] == 0).all(
            axis=1
        )
        if (shown["pairs"] > 0).any():
            shown = shown[~silent]
        out.write(shown.rename(columns={"share": "recall"}), "table")
        if len(shown) < len(table):
            count = len(table) - len(shown)
            click.echo(f"{count} rows of harmless kinds that nobody accused are left out", err=True)
    for detector, reason in done.not_run.items():
        click.echo(f"{detector}: {reason}", err=True)
    how = "the logs' own" if window is None else "merged"
    if window is not None and done.window > int(window):
        how = f"the logs' own; they cannot be cut into {window} s"
    click.echo(f"capture windows of {done.window:.0f} s ({how})", err=True)
