"""flowbench demo: the Winterday case from evidence to report."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from flowbench.cli import common
from flowbench.cli.ingest import compute_connections, load_evidence
from flowbench.errors import InputError
from flowbench.text import format_count

WINTERDAY = Path("data") / "winterday"  # as in a checkout, under the folder that the user chose


@click.command()
@click.option(
    "--case",
    "path",
    type=click.Path(path_type=Path),
    default=Path("cases/winterday"),
    show_default=True,
    metavar="FOLDER",
    help="The case; used as it is if it exists.",
)
def demo(path: Path) -> None:
    """Run the Winterday example case.

    Crypto-mining in a bank's development network, from evidence to report. The evidence is
    generated and written to data/winterday in the current folder unless it is there.
    """
    from flowbench import detect, report
    from flowbench.case import Case
    from flowbench.cli import output

    evidence = write_evidence(Path.cwd())
    case = Case.open(path) if (path / "case.json").exists() else Case.create(path, "Winterday")
    common.note(f"1  loading the evidence in {evidence} into the case {path}")
    load_evidence(case, (evidence,), common.Output())
    compute_connections(case)
    common.note("2  running the detectors")
    findings = detect.run(case)
    output.print_groups(findings.at_least("high"))
    common.note("3  writing the report")
    written = report.write(case, path / "report.html", findings=findings)
    counts = Counter(finding.severity for finding in findings)
    by_severity = [
        f"{counts[name]:,} {name}" for name in reversed(detect.SEVERITIES) if counts[name]
    ]
    click.echo(f"\n{format_count(len(findings), 'finding')} ({', '.join(by_severity)})")
    click.echo(f"report: {written.absolute()}")


def write_evidence(root: Path) -> Path:
    """Return the folder of Winterday's evidence under ``root``; generate it if it is missing.

    It is generated rather than shipped: that takes some seconds and adds nothing to the wheel, and
    the case then refers to evidence in a folder of the user's, not in an environment that may be
    deleted. An existing folder is used as it is.

    Raises:
        InputError: The folder exists without evidence, or cannot be written.
    """
    from flowbench import scenario

    folder = root / WINTERDAY
    if folder.exists():
        if not (folder / "evidence").is_dir():
            raise InputError(f"{folder} exists without a folder 'evidence': use another folder")
        return folder / "evidence"
    common.note(f"generating the evidence of the Winterday case in {folder}")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".winterday-", dir=folder.parent) as aside:
            generated = Path(aside) / "winterday"
            scenario.write("winterday", generated)
            generated.rename(folder)  # complete or not there
    except OSError as error:
        raise InputError(f"cannot write {folder}: {error.strerror}") from error
    return folder / "evidence"
