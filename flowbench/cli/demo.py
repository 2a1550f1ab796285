"""Commands to start with: the Winterday demo, and JupyterLab on the notebooks."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from flowbench.cli.common import checkout, main
from flowbench.cli.ingest import load_into


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
    from flowbench import report as reports
    from flowbench.case import Case
    from flowbench.cli import output as out

    evidence = checkout("data/winterday/evidence")
    case = Case.open(path) if (path / "case.json").exists() else Case.create(path, "Winterday")
    click.echo(f"1  reading the evidence in {evidence} into the case {path}", err=True)
    load_into(case, (evidence,))
    click.echo("2  looking for what matters", err=True)
    everything = detectors.run(case, hidden=True)
    found, _ = detectors.apart(everything)
    grave = found[found["severity"].isin(["high", "critical"])]
    out.tell(detectors.stories(grave), detectors.strands(grave))
    click.echo("3  writing the report", err=True)
    written = reports.write(case, path / "report.html", findings=everything)
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
    words = [sys.executable, "-m", "jupyterlab", str(checkout("notebooks")), *quiet, *jupyter]
    sys.exit(subprocess.call(words))  # noqa: S603  # the user's own words to the user's own Jupyter
