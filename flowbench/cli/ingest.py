"""Commands that bring evidence into a case and show what is in it."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from flowbench.cli.common import (
    BAD_ANSWER,
    COLUMNS,
    answers,
    canonical,
    case_argument,
    main,
    open_case,
)
from flowbench.errors import StoppedError
from flowbench.text import escape_controls

if TYPE_CHECKING:
    from flowbench.case import Case


@main.command()
@case_argument
@click.option("--name", help="What to call it; the folder's name otherwise.")
def new(case: Path, name: str | None) -> None:
    """Make an empty case in the folder CASE."""
    from flowbench.case import Case

    made = Case.create(case, name)
    command = f"flowbench ingest {shlex.quote(str(made.path))} LOGS…"
    click.echo(f"{made.path}: a new case. Next: {command}", err=True)


@main.command()
@case_argument
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path, readable=False))
@click.option("--copy", is_flag=True, help="Copy the evidence into the case folder.")
@click.option(
    "--kind",
    type=click.Choice(["flow-logs", "indicators"]),
    help="Take text files for this kind, whatever they look like.",
)
@click.option(
    "--format-string",
    "formats",
    multiple=True,
    metavar="FORMAT",
    help="Format of flow logs without a header: '${version} ${srcaddr} …' (again for more).",
)
@click.option("--columns", multiple=True, metavar="MAP", help=COLUMNS)
@answers
def ingest(
    case: Path,
    paths: tuple[Path, ...],
    copy: bool,
    kind: str | None,
    formats: tuple[str, ...],
    columns: tuple[str, ...],
    form: str,
    output: Path | None,
) -> None:
    """Read evidence into CASE: files, or whole folders of them.

    Flow logs, CloudTrail, GuardDuty, Resolver query logs, inventories and indicator lists, plain or
    packed (gzip, bzip2, xz, zstd; zip and tar archives), are told apart by their content; so are
    databases of countries and network owners (.mmdb, CSV) and the clouds' lists of their ranges. A
    flow log without a header is read by the formats given, by those that a describe-flow-logs
    answer among the files names, or as AWS's default. What cannot be read goes to quarantine
    (`flowbench quarantine CASE`) and never stops the load. Interrupted? Run it again.
    """
    opened = open_case(case)
    load_into(
        opened,
        paths,
        copy=copy,
        kind=kind,
        formats=formats,
        columns=columns,
        form=form,
        output=output,
    )


def load_into(
    case: Case,
    paths: tuple[Path, ...],
    *,
    copy: bool = False,
    kind: str | None = None,
    formats: tuple[str, ...] = (),
    columns: tuple[str, ...] = (),
    form: str = "table",
    output: Path | None = None,
) -> None:
    """Ingest with a progress bar, and say what came of it."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    from flowbench.cli import output as out

    shown = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*shown, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("reading", total=None)

        def progress(done: int, total: int, _: str) -> None:
            bar.update(task, completed=done, total=total)

        try:
            files = case.ingest(
                *paths, kind=kind, formats=formats, columns=columns, copy=copy, progress=progress
            )
        except KeyboardInterrupt:
            bar.stop()
            message = "stopped. What was committed is kept; the same command takes up the rest"
            raise StoppedError(message) from None
    if form != "table" or output is not None:
        out.write(files, form, output)
        return
    if (files["outcome"] == "loaded").any():
        summary = (
            files[files["outcome"] == "loaded"]
            .groupby("kind", as_index=False)
            .agg(
                files=("file", "size"),
                records=("records", "sum"),
                quarantined=("quarantined", "sum"),
            )
        )
        out.write(summary, "table")
    there = int((files["outcome"] == "already there").sum())
    barred = files[files["outcome"] == "not readable"]
    quarantined = int(files["quarantined"].sum())
    bare = files[
        (files["outcome"] == "loaded")
        & (files["kind"] != "archive")
        & (files["records"] == 0)
        & (files["quarantined"] == 0)
    ]
    if there:
        click.echo(f"{there} files were in the case already.", err=True)
    if restored := int((files["outcome"] == "restored").sum()):
        click.echo(f"{restored} files were read again: tables made of them were damaged.", err=True)
    for name in barred["file"]:
        click.echo(f"not readable: {escape_controls(name)}", err=True)
    if len(bare):
        click.echo(f"{len(bare)} files hold no records.", err=True)
    if quarantined:
        click.echo(
            f"{quarantined:,} entries in quarantine: see `flowbench quarantine {case.path}`.",
            err=True,
        )


@main.command()
@case_argument
@answers
def info(case: Path, form: str, output: Path | None) -> None:
    """What CASE holds: files, records, time span, by kind of evidence."""
    from flowbench.cli import output as out

    opened = open_case(case)
    out.write(opened.info(), form, output)
    if form == "table":
        first, last = opened.span
        if first is not None:
            click.echo(
                f"\nflow records from {first:%Y-%m-%d %H:%M:%S} to {last:%Y-%m-%d %H:%M:%S} UTC"
            )
        click.echo(f"custody log: {len(opened.custody)} entries, head {opened.log.head}")


@main.command()
@case_argument
@answers
def verify(case: Path, form: str, output: Path | None) -> None:
    """Read everything again: does it still match the digests taken when it was loaded?

    Exit code 1 when anything does not.
    """
    from flowbench.cli import output as out

    checked = open_case(case).verify()
    bad = checked[~checked["ok"]]
    if form != "table" or output is not None:
        out.write(checked, form, output)
    elif len(bad):
        out.write(bad, "table", columns=["what", "name", "detail"])
    counts = ", ".join(
        f"{n} {what}" for what, n in checked["what"].value_counts().sort_index().items()
    )
    click.echo(f"checked {counts}: {len(bad) or 'nothing'} wrong", err=True)
    if len(bad):
        sys.exit(BAD_ANSWER)


@main.command()
@case_argument
@click.option("--address", metavar="ADDRESS", help="Only records from or to this address.")
@click.option("--limit", type=click.IntRange(1), help="At most so many; 50 on a terminal.")
@answers
def flows(
    case: Path, address: str | None, limit: int | None, form: str, output: Path | None
) -> None:
    """The flow records of CASE, by time, with file id and line.

    Names are AWS's with underscores; what a record lacks is null.
    """
    from flowbench.cli import output as out
    from flowbench.schema import place

    opened = open_case(case)
    address = canonical(address)
    table = opened.flows
    if address is not None:
        ends = [table.srcaddr, table.dstaddr, table.pkt_srcaddr, table.pkt_dstaddr]
        keep = ends[0] == address
        for end in ends[1:]:
            keep |= (end == address).fill_null(False)
        table = table.filter(keep)
    on_terminal = form == "table" and output is None
    count = table.count().execute() if on_terminal else None
    where = place(table.columns)
    table = table.order_by("start", *where)
    if limit or on_terminal:
        limit = limit or 50
        table = table.limit(limit)
    shown = [
        "start", "srcaddr", "srcport", "dstaddr", "dstport", "protocol", "bytes", "action",
        *where,
    ]  # fmt: skip
    out.write(opened.stream(table), form, output, columns=shown)
    if count is not None and limit is not None and count > limit:
        click.echo(f"{limit} of {count:,} records; --limit or --format for more", err=True)


@main.command()
@case_argument
@answers
def quarantine(case: Path, form: str, output: Path | None) -> None:
    """What could not be read from CASE's evidence: file, line, reason and the raw text."""
    from flowbench.cli import output as out

    opened = open_case(case)
    table = opened.quarantine.order_by("file", "evidence_id", "line", "item", "reason")
    shown = ["file", "line", "item", "reason", "raw"]
    out.write(opened.stream(table), form, output, columns=shown)
