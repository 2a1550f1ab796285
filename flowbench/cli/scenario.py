"""flowbench scenario: generate evidence with an answer key."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from flowbench.cli import common
from flowbench.cli.progress import progress_bar
from flowbench.text import format_count


@click.command()
@click.argument("name")
@click.option("--seed", type=int, default=1, show_default=True, help="Seed of the random choices.")
@click.option(
    "--difficulty",
    type=click.Choice(["easy", "normal", "hard"]),
    default="normal",
    show_default=True,
    help="Size of the network, number of benign anomalies, noise of the intruder.",
)
@click.option(
    "--version",
    type=int,
    default=5,
    show_default=True,
    help="Version of the VPC flow logs: 2 to 11, except 6.",
)
@click.option(
    "--window",
    type=int,
    default=60,
    show_default=True,
    help="Aggregation interval of the flow logs in seconds: 60 or 600.",
)
@click.option(
    "--days",
    type=click.IntRange(1, 31),
    help="Days of the logs.  [default: 2; 3 of a hard one]",
)
@click.option(
    "--records",
    type=click.IntRange(1, 1_000_000_000),
    metavar="N",
    help="Flow log records in all, within a few per cent: adds the usual traffic of EKS nodes,"
    " ECS tasks, servers and load balancers.  [default: the scenario's own, 12,000 to 90,000]",
)
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="New or empty folder for the evidence.",
)
@click.option(
    "--key",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="New file for the answer key.  [default: NAME-key.json beside FOLDER]",
)
def scenario(
    name: str,
    seed: int,
    difficulty: str,
    version: int,
    window: int,
    days: int | None,
    records: int | None,
    out: Path,
    key: Path | None,
) -> None:
    """Generate the evidence of the scenario NAME, for an exercise.

    crypto-mining, exfiltration, lateral-movement, scan-then-break-in, stolen-role, insider,
    logging-switched-off, slow-exfiltration, ransomware; benign-but-odd and nothing-happened, which
    have no incident.

    The evidence is flow logs, CloudTrail, GuardDuty, DNS queries and interfaces. Names, addresses,
    actors, times and the order of the steps vary by seed; the same seed gives the same files. The
    answer key is a separate file: `flowbench grade` compares a trainee's answers with it. A
    notebook for trainees is beside the evidence, one for the trainer beside the key.
    """
    from flowbench.scenario import exercises
    from flowbench.training import exercise_notebooks

    file = key if key is not None else out.absolute().parent / f"{name}-key.json"
    exercise_notebooks.notebook_paths(out, file)  # before anything is written
    with progress_bar("Writing flow log records", is_bytes=False) as progress:
        answers = exercises.write(
            name,
            out,
            file,
            seed,
            difficulty=difficulty,
            version=version,
            window=window,
            days=days,
            records=records,
            progress=progress,
        )
    facts = format_count(len(answers.facts), "fact")
    indicators = format_count(len(answers.indicators), "indicator")
    common.note(f"{file}: answer key with {facts} and {indicators}")
    command = f"flowbench ingest CASE {shlex.quote(str(out))}"
    trainee, trainer = exercise_notebooks.write_notebooks(out, file)
    common.note(f"{trainer}: for the trainer, with the solution")
    common.note(f"{trainee}: for trainees, with the evidence")
    common.note(f"{out}: evidence. Next: flowbench new CASE; {command}")
