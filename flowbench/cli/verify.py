"""flowbench verify: check a case against what its custody log recorded."""

from __future__ import annotations

import contextlib
import shutil
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flowbench.cli import common
from flowbench.errors import CaseError
from flowbench.text import escape_controls, format_count

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

_NOUNS = {
    "case": ("case.json",),
    "evidence": ("evidence file", "evidence files"),
    "table": ("table part", "table parts"),
    "findings": ("run of findings", "runs of findings"),
    "cache": ("cached table", "cached tables"),
    "report": ("report file", "report files"),
    "custody": ("custody log",),
    "seal": ("seal", "seals"),
    "set-aside": ("file set aside", "files set aside"),
}
_NOT_AVAILABLE = {
    "evidence": "search a folder with --evidence FOLDER",
    "report": "moved or deleted",
    "seal": "check a copy with --anchor FILE",
}
_ALWAYS_SHOWN = ("seal", "set-aside")  # also those without a failure
_MOST_SHOWN = 50  # lines on a terminal
_FILE = click.Path(path_type=Path, dir_okay=False, exists=True)


@click.command()
@common.case_argument
@click.option("--head", metavar="HEX", help="Check that a head digest noted earlier is in the log.")
@click.option(
    "--evidence",
    multiple=True,
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    metavar="FOLDER",
    help="Search here for evidence that is no longer where it was loaded from (repeatable).",
)
@click.option(
    "--anchor",
    "anchors",
    multiple=True,
    type=_FILE,
    metavar="FILE",
    help="An anchor that is not in the case, with its signatures beside it (repeatable).",
)
@click.option(
    "--signers", type=_FILE, metavar="FILE", help="SSH keys to accept (allowed signers file)."
)
@click.option(
    "--timestamp-ca",
    "authorities",
    type=_FILE,
    metavar="FILE",
    help="Root certificates of time-stamp authorities to accept (PEM).",
)
@click.option("--recompute", is_flag=True, help="Compute the cached tables again and compare them.")
@common.output_options
def verify(
    case: Path,
    head: str | None,
    evidence: tuple[Path, ...],
    anchors: tuple[Path, ...],
    signers: Path | None,
    authorities: Path | None,
    recompute: bool,
    out: common.Output,
) -> None:
    """Check CASE against the SHA-256 hashes in its custody log.

    Reads case.json, evidence, tables, findings, cached tables, reports, seals and the log again.
    Exit code 1 if anything does not match. Evidence that is no longer where it was loaded from is
    not available: it is counted and not compared, unless --evidence gives its folder.
    """
    from flowbench.case.seal import Trust
    from flowbench.case.verify import verify_folder

    with contextlib.suppress(CaseError):  # a damaged case cannot say what its evidence is
        common.open_case(case)
    checks = verify_folder(
        case,
        head=head,
        evidence=evidence,
        anchors=anchors,
        trust=Trust(signers, authorities),
        recompute=recompute,
    )
    if out.is_terminal:
        _print_checks(checks)
    else:
        out.write(checks)
    _note_counts(checks)
    if not checks["ok"].all():
        sys.exit(common.EXIT_PROBLEMS)


def _print_checks(checks: pd.DataFrame) -> None:
    """Print the failures, then the notes."""
    notes = (checks["result"] == "note") | checks["what"].isin(_ALWAYS_SHOWN)
    for chosen in (checks[~checks["ok"]], checks[checks["ok"] & notes]):
        for row in chosen.head(_MOST_SHOWN).to_dict("records"):
            _print_check(row)
        if (more := len(chosen) - _MOST_SHOWN) > 0:
            click.echo(f"and {more:,} more: --format csv lists all")


def _print_check(row: Mapping[str, Any]) -> None:
    width = shutil.get_terminal_size().columns
    noun = _NOUNS[row["what"]][0]
    name = row["name"] if noun == row["name"] else f"{noun} {row['name']}"
    click.echo(escape_controls(f"{row['result']}: {name}"))
    for line in textwrap.wrap(
        escape_controls(row["detail"]),
        max(width, 68),  # a digest has 64 characters
        initial_indent="  ",
        subsequent_indent="  ",
        break_long_words=False,
        break_on_hyphens=False,
    ):
        click.echo(line)


def _note_counts(checks: pd.DataFrame) -> None:
    compared = checks[checks["result"] != "not available"]
    counts = compared["what"].value_counts()
    parts = [
        nouns[0] if len(nouns) == 1 else format_count(int(counts[what]), *nouns)
        for what, nouns in _NOUNS.items()
        if what in counts
    ]
    failed = int((~checks["ok"]).sum())
    outcome = f"{failed:,} failed" if failed else "all match"
    common.note(f"checked {', '.join(parts)}: {outcome}")
    away = checks[checks["result"] == "not available"]
    for what, remedy in _NOT_AVAILABLE.items():
        if len(details := away.loc[away["what"] == what, "detail"]):
            count = format_count(len(details), *_NOUNS[what])
            common.note(f"not compared: {count}, not available here: {remedy}")
            common.note(f"  {escape_controls(details.iloc[0])}")
