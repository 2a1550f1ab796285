"""flowbench ingest: load evidence into a case."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from flowbench.cli import common
from flowbench.cli.progress import progress_bar
from flowbench.errors import StoppedError
from flowbench.text import escape_controls, format_count

if TYPE_CHECKING:
    import pandas as pd

    from flowbench.case import Case


connections_option = click.option(
    "--no-connections",
    is_flag=True,
    help="Leave connections to the first command that needs them: between several loads.",
)


@click.command()
@common.case_argument
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path, readable=False))
@click.option("--copy", is_flag=True, help="Copy the evidence into the case folder.")
@click.option(
    "--kind",
    type=click.Choice(["flow-logs", "indicators"]),
    help="Read text files as this kind.  [default: by content]",
)
@click.option(
    "--format-string",
    "formats",
    multiple=True,
    metavar="FORMAT",
    help="Record format of flow logs without a header: '${version} ${srcaddr} …' (repeatable).",
)
@click.option("--columns", multiple=True, metavar="MAP", help=common.COLUMNS_HELP)
@connections_option
@common.output_options
def ingest(
    case: Path,
    paths: tuple[Path, ...],
    copy: bool,
    kind: str | None,
    formats: tuple[str, ...],
    columns: tuple[str, ...],
    no_connections: bool,
    out: common.Output,
) -> None:
    """Load evidence into CASE.

    PATHS are files, or folders with all that they hold. The kind of a file is detected from its
    content: flow logs, CloudTrail, GuardDuty, Resolver query logs, inventories, indicator lists,
    databases of countries and network owners (.mmdb, CSV), and the address ranges of clouds; plain
    or compressed (gzip, bzip2, xz, zstd), and in zip and tar archives. A flow log without a header
    is read in the formats given, in those of a describe-flow-logs answer among the files, or in
    AWS's default format.

    Lines that cannot be read go to quarantine (`flowbench quarantine CASE`) and do not stop the
    load. After an interruption, run the same command again.

    At the end, connections are computed from all flow log records of the case, with the counts that
    the hunting bench shows. Later loads of newer records extend them.
    """
    opened = common.open_case(case)
    load_evidence(opened, paths, out, copy=copy, kind=kind, formats=formats, columns=columns)
    if not no_connections:
        compute_connections(opened)


def load_evidence(
    case: Case,
    paths: tuple[Path, ...],
    out: common.Output,
    *,
    copy: bool = False,
    kind: str | None = None,
    formats: tuple[str, ...] = (),
    columns: tuple[str, ...] = (),
) -> None:
    """Ingest with a progress bar, and print the outcome.

    Raises:
        InputError: A path does not exist or cannot be read.
        StoppedError: Ctrl-C; files that were committed stay loaded.
    """
    earlier = len(case.log.entries)
    try:
        with progress_bar("reading") as progress:
            files = case.ingest(
                *paths, kind=kind, formats=formats, columns=columns, copy=copy, progress=progress
            )
    except KeyboardInterrupt:
        message = "stopped. Committed files stay loaded; the same command loads the rest"
        raise StoppedError(message) from None
    _note_moved(case, earlier)
    if not out.is_terminal:
        common.check_outputs(case)  # what was loaded is evidence now
        out.write(files)
        return
    loaded = files[files["outcome"] == "loaded"]
    if len(loaded):
        sums = {"files": ("file", "size")}
        sums |= {name: (name, "sum") for name in ("records", "quarantined")}
        out.write(loaded.groupby("kind", as_index=False).agg(**sums))
    _note_outcomes(case, files)


def compute_connections(case: Case) -> None:
    """Compute what the first question would wait for. An error is noted: the load is complete.

    Raises:
        StoppedError: Ctrl-C.
    """
    later = "the first command that needs connections computes them"
    try:
        case.compute_connections()
    except (KeyboardInterrupt, Exception) as error:  # noqa: BLE001  # the evidence is loaded
        if isinstance(error, KeyboardInterrupt) or common.is_interrupt(error):
            raise StoppedError(f"stopped. The load is complete; {later}") from None
        reason = escape_controls(str(error).partition("\n")[0] or type(error).__name__)
        common.note(f"connections are not computed: {reason}. The load is complete; {later}.")
    finally:
        case.progress(1, 1, "")  # clears the line on a terminal


def _note_moved(case: Case, earlier: int) -> None:
    """Note what a load set aside: files that no entry of the log names, or damaged ones."""
    for entry in case.log.entries[earlier:]:
        if entry["action"] == "set-aside":
            details = entry["details"]
            count, reason = len(details["files"]), escape_controls(details["reason"])
            moved = "1 file was" if count == 1 else f"{count:,} files were"
            common.note(f"{moved} moved to set-aside: {reason}. `flowbench verify` lists them.")


def _note_outcomes(case: Case, files: pd.DataFrame) -> None:
    """Note what the table of loaded files does not show."""
    loaded = files[(files["outcome"] == "loaded") & (files["kind"] != "archive")]
    empty = loaded[(loaded["records"] == 0) & (loaded["quarantined"] == 0)]
    counts = files["outcome"].value_counts()
    if known := int(counts.get("already there", 0)):
        common.note(f"{format_count(known, 'file')} already in the case.")
    if rebuilt := int(counts.get("rebuilt", 0)):
        common.note(f"{format_count(rebuilt, 'file')} read again: their tables were damaged.")
    for name in files.loc[files["outcome"] == "not readable", "file"]:
        common.note(f"not readable: {escape_controls(name)}")
    if len(empty):
        common.note(f"{format_count(len(empty), 'file')} without records.")
    if quarantined := int(files["quarantined"].sum()):
        entries = format_count(quarantined, "entry", "entries")
        common.note(f"{entries} in quarantine: see `flowbench quarantine {case.path}`.")
