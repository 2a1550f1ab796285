"""The command: it parses, calls the library, prints. Heavy imports wait until they are needed."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flowbench import __version__
from flowbench.errors import FlowbenchError, InputError

if TYPE_CHECKING:
    from flowbench.case import Case

BAD_ANSWER = 1  # the question was answered, and the answer is bad news
BAD_INPUT = 2  # the question could not be asked that way

_FORMATS = ("table", "json", "jsonl", "csv", "parquet")  # output.FORMATS, without importing it


class _Command(click.Group):
    """A group whose commands end in one plain line, never in a stack trace."""

    def invoke(self, ctx: click.Context) -> Any:  # click's own signature
        try:
            return super().invoke(ctx)
        except FlowbenchError as error:
            from flowbench.output import plain

            click.echo(f"flowbench: {plain(error)}", err=True)
            sys.exit(BAD_INPUT)
        except BrokenPipeError:  # `flowbench flows … | head`
            sys.stderr.close()
            sys.exit(0)
        except Exception as error:
            # The engine's own errors: something in the case's tables that nobody foresaw.
            if "duckdb" not in type(error).__module__:
                raise
            first = str(error).splitlines()[0]
            click.echo(f"flowbench: the case's tables cannot be read: {first}", err=True)
            click.echo("`flowbench verify CASE` tells what changed since loading.", err=True)
            sys.exit(BAD_INPUT)


@click.group(cls=_Command, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="flowbench")
def main() -> None:
    r"""Cloud network forensics on VPC flow logs: from evidence to findings, timeline and report.

    Start with `flowbench demo`, or with your own logs:

    \b
      flowbench new CASE
      flowbench ingest CASE LOGS…
      flowbench detect CASE
      flowbench report CASE

    All times are UTC. Exit codes: 0 done, 1 the answer is bad (verify), 2 usage or input wrong.
    """


def _case_argument(command: Callable[..., None]) -> Callable[..., None]:
    return click.argument("case", type=click.Path(path_type=Path))(command)


def _answers(command: Callable[..., None]) -> Callable[..., None]:
    """The two options of every command that answers with a table."""
    command = click.option(
        "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Write to a file."
    )(command)
    return click.option(
        "--format",
        "form",
        type=click.Choice(_FORMATS),
        default="table",
        show_default=True,
        help="How the answer is written.",
    )(command)


def _open(path: Path) -> Case:
    from flowbench.case import Case

    return Case.open(path)


@main.command()
@_case_argument
@click.option("--name", help="What to call it; the folder's name otherwise.")
def new(case: Path, name: str | None) -> None:
    """Make an empty case in the folder CASE."""
    from flowbench.case import Case

    made = Case.create(case, name)
    command = f"flowbench ingest {shlex.quote(str(made.path))} LOGS…"
    click.echo(f"{made.path}: a new case. Next: {command}", err=True)


@main.command()
@_case_argument
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path, readable=False))
@click.option("--copy", is_flag=True, help="Copy the evidence into the case folder.")
@click.option(
    "--kind",
    type=click.Choice(["flow-logs", "indicators"]),
    help="Take text files for this kind, whatever they look like.",
)
@_answers
def ingest(
    case: Path,
    paths: tuple[Path, ...],
    copy: bool,
    kind: str | None,
    form: str,
    output: Path | None,
) -> None:
    """Read evidence into CASE: files, or whole folders of them.

    Flow logs, CloudTrail, GuardDuty, Resolver query logs, network interface inventories and
    indicator lists, plain or gzipped, are told apart by their content. What cannot be read goes to
    quarantine (`flowbench quarantine CASE`) and never stops the load. Interrupted? Run it again.
    """
    opened = _open(case)
    _ingest(opened, paths, copy=copy, kind=kind, form=form, output=output)


def _ingest(
    case: Case,
    paths: tuple[Path, ...],
    *,
    copy: bool = False,
    kind: str | None = None,
    form: str = "table",
    output: Path | None = None,
) -> None:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    from flowbench import output as out

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("reading", total=None)

        def progress(done: int, total: int, _: str) -> None:
            bar.update(task, completed=done, total=total)

        try:
            files = case.ingest(*paths, kind=kind, copy=copy, progress=progress)
        except KeyboardInterrupt:
            bar.stop()
            message = "stopped. What was committed is kept; the same command takes up the rest"
            raise InputError(message) from None
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
        (files["outcome"] == "loaded") & (files["records"] == 0) & (files["quarantined"] == 0)
    ]
    if there:
        click.echo(f"{there} files were in the case already.", err=True)
    for name in barred["file"]:
        click.echo(f"not readable: {out.plain(name)}", err=True)
    if len(bare):
        click.echo(f"{len(bare)} files hold no records.", err=True)
    if quarantined:
        click.echo(
            f"{quarantined:,} entries in quarantine: see `flowbench quarantine {case.path}`.",
            err=True,
        )


@main.command()
@_case_argument
@_answers
def info(case: Path, form: str, output: Path | None) -> None:
    """What CASE holds: files, records, time span, by kind of evidence."""
    from flowbench import output as out

    opened = _open(case)
    out.write(opened.info(), form, output)
    if form == "table":
        first, last = opened.span
        if first is not None:
            click.echo(
                f"\nflow records from {first:%Y-%m-%d %H:%M:%S} to {last:%Y-%m-%d %H:%M:%S} UTC"
            )
        click.echo(f"custody log: {len(opened.custody)} entries, head {opened.log.head}")


@main.command()
@_case_argument
@_answers
def verify(case: Path, form: str, output: Path | None) -> None:
    """Read everything again: does it still match the digests taken when it was loaded?

    Exit code 1 when anything does not.
    """
    from flowbench import output as out

    checked = _open(case).verify()
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
@_case_argument
@click.option("--only", multiple=True, metavar="ID", help="Run this detector (again for more).")
@_answers
def detect(case: Path, only: tuple[str, ...], form: str, output: Path | None) -> None:
    """What CASE's records point to, the gravest first."""
    from flowbench import detect as detectors
    from flowbench import output as out

    opened = _open(case)
    plan = detectors.plan(opened)
    found = detectors.run(opened, only=list(only) or None)
    shown = ["severity", "score", "detector", "first_seen", "why"]
    out.write(found, form, output, columns=shown)
    for row in plan[~plan["runs"]].itertuples():
        if not only or row.detector in only:
            click.echo(f"{row.detector}: {row.reason}", err=True)
    click.echo(f"{len(found)} findings", err=True)


@main.command()
@_case_argument
@click.option("--about", metavar="ADDRESS", help="Only what concerns this address.")
@_answers
def timeline(case: Path, about: str | None, form: str, output: Path | None) -> None:
    """What happened around CASE's gravest findings, in order, or about an address.

    Findings, the API events of the principals behind them, alerts, DNS look-ups and notes.
    """
    from flowbench import output as out
    from flowbench import timeline as lines

    built = lines.build(_open(case), about=_address(about))
    if built.empty and about is None:
        click.echo("no finding to follow; --about ADDRESS shows what concerns an address", err=True)
    shown = ["time", "until", "kind", "severity", "what", "ref"]
    out.write(built, form, output, columns=shown)


@main.command()
@_case_argument
@click.option("--address", metavar="ADDRESS", help="Only records from or to this address.")
@click.option("--limit", type=click.IntRange(1), help="At most so many; 50 on a terminal.")
@_answers
def flows(
    case: Path, address: str | None, limit: int | None, form: str, output: Path | None
) -> None:
    """The flow records of CASE, by time, with file id and line.

    Names are AWS's with underscores; what a record lacks is null.
    """
    from flowbench import output as out

    opened = _open(case)
    address = _address(address)
    table = opened.flows
    if address is not None:
        ends = [table.srcaddr, table.dstaddr, table.pkt_srcaddr, table.pkt_dstaddr]
        keep = ends[0] == address
        for end in ends[1:]:
            keep |= (end == address).fill_null(False)
        table = table.filter(keep)
    on_terminal = form == "table" and output is None
    count = table.count().execute() if on_terminal else None
    if limit or on_terminal:
        limit = limit or 50
        table = table.order_by("start", "source", "line").limit(limit)
    else:
        table = table.order_by("start", "source", "line")
    shown = [
        "start", "srcaddr", "srcport", "dstaddr", "dstport", "protocol", "bytes", "action",
        "source", "line",
    ]  # fmt: skip
    out.write(opened.stream(table), form, output, columns=shown)
    if count is not None and limit is not None and count > limit:
        click.echo(f"{limit} of {count:,} records; --limit or --format for more", err=True)


@main.command()
@_case_argument
@_answers
def quarantine(case: Path, form: str, output: Path | None) -> None:
    """What could not be read from CASE's evidence: file, line, reason and the raw text."""
    from flowbench import output as out

    opened = _open(case)
    table = opened.quarantine.order_by("file", "source", "line", "item", "reason")
    shown = ["file", "line", "item", "reason", "raw"]
    out.write(opened.stream(table), form, output, columns=shown)


@main.command()
@_case_argument
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The HTML file; CASE/report.html otherwise.",
)
def report(case: Path, output: Path | None) -> None:
    """Write CASE's report: one HTML file that opens with no network."""
    from flowbench import report as reports

    opened = _open(case)
    click.echo(reports.write(opened, output or opened.path / "report.html"))


@main.command()
@click.option(
    "--case",
    "path",
    type=click.Path(path_type=Path),
    default=Path("cases/winterday"),
    show_default=True,
    help="Where the case goes; used as it is when it is there already.",
)
def demo(path: Path) -> None:
    """The Winterday case, from evidence to report: a miner in a bank's dev network."""
    from flowbench import detect as detectors
    from flowbench import output as out
    from flowbench import report as reports
    from flowbench.case import Case

    evidence = _checkout("data/winterday/evidence")
    case = Case.open(path) if (path / "case.json").exists() else Case.create(path, "Winterday")
    click.echo(f"1  reading the evidence in {evidence} into the case {path}", err=True)
    _ingest(case, (evidence,))
    click.echo("2  looking for what matters", err=True)
    found = detectors.run(case)
    out.write(
        found[found["severity"].isin(["high", "critical"])],
        "table",
        columns=["severity", "detector", "why"],
    )
    click.echo("3  writing the report", err=True)
    written = reports.write(case, path / "report.html", findings=found)
    counts = found["severity"].value_counts()
    by_grade = [f"{counts[g]} {g}" for g in ("critical", "high", "medium", "low") if g in counts]
    click.echo(f"\n{len(found)} findings ({', '.join(by_grade)})")
    click.echo(f"report: {written.absolute()}")


@main.command(context_settings={"ignore_unknown_options": True})
@click.argument("jupyter", nargs=-1, type=click.UNPROCESSED)
def lab(jupyter: tuple[str, ...]) -> None:
    """Open JupyterLab on the notebooks; what follows goes to `jupyter lab`."""
    import subprocess

    quiet = [  # Jupyter would ask the network for news and updates
        "--LabApp.news_url=None",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    ]
    words = [sys.executable, "-m", "jupyterlab", str(_checkout("notebooks")), *quiet, *jupyter]
    sys.exit(subprocess.call(words))  # noqa: S603  # the user's own words to the user's own Jupyter


def _address(text: str | None) -> str | None:
    """An address as the logs spell it; a typo must not read as a host that never spoke."""
    import ipaddress

    try:
        return None if text is None else str(ipaddress.ip_address(text))
    except ValueError:
        raise InputError(f"{text} is no address") from None


def _checkout(place: str) -> Path:
    """A folder of the checkout that this flowbench runs from, or of where the user stands."""
    for root in (Path.cwd(), Path(__file__).resolve().parents[1]):
        if (root / place).is_dir():
            return root / place
    raise InputError(f"there is no {place} here: run this from a checkout of flowbench")
