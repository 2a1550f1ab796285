"""flowbench export: a case in the formats of other tools."""

from __future__ import annotations

from pathlib import Path

import click

from flowbench.cli import common
from flowbench.cli.files import output_file_option

_FORMATS = (
    "timesketch-csv",
    "timesketch-jsonl",
    "stix",
    "indicators",
    "attack-navigator",
    "graphml",
    "gexf",
    "ocsf",
)  # export.FORMATS, without importing it


@click.command()
@common.case_argument
@click.option("--to", "form", type=click.Choice(_FORMATS), required=True, help="Format.")
@output_file_option("The file.  [default: CASE/FORMAT and its ending]")
def export(case: Path, form: str, output: Path | None) -> None:
    """Export CASE for other tools.

    Timesketch (timesketch-csv, timesketch-jsonl), threat intelligence platforms (stix, indicators),
    the ATT&CK Navigator (attack-navigator), graph tools (graphml, gexf), and data lakes (ocsf). The
    timeline, indicators and STIX bundle are about findings of high and critical severity.
    """
    from flowbench import export as exports

    opened = common.open_case(case)
    path = output or opened.path / f"{form}{exports.FORMATS[form].suffix}"
    click.echo(exports.write(opened, path, form))
