"""Notebooks for an exercise: one for trainees beside the evidence, one for the trainer by the key.

The trainee's notebook loads the evidence, leaves room for a look of one's own, and writes timeline
and indicators as `flowbench grade` reads them. Neither its name nor its text tells the scenario.
The trainer's shows the key, what flowbench finds alone, and the scores of a class.
"""

from __future__ import annotations

import os
from pathlib import Path
from string import Template

import nbformat

from flowbench.errors import InputError
from flowbench.io import atomic

_EXERCISE = '''
# Exercise: What happened?

This is the evidence of a network that you do not know: flow logs, CloudTrail, GuardDuty findings,
DNS queries and an inventory of network interfaces. Find out whether there was an incident and
what happened. Write a timeline and a list of indicators, and hand in the folder `ANSWERS`.

All times are UTC. A network without an incident is possible: then the timeline stays empty.
%%
from pathlib import Path

import pandas as pd

import flowbench as fb

EVIDENCE = $evidence
CASE = $case
ANSWERS = Path("answers") / "your-name"
%%
is_new = not Path(CASE, "case.json").exists()
case = fb.Case.create(CASE) if is_new else fb.Case.open(CASE)
case.ingest(EVIDENCE)
case.info()
%%
## Leads

What GuardDuty and flowbench report is a lead. Benign activity may be among it, and parts of an
incident may be missing.
%%
case.sql("""
    SELECT first_seen, type, severity, local_address, remote_address,
           principal_name
    FROM alerts
    ORDER BY first_seen, type
""")
%%
fb.detect.run(case)
%%
## A look of your own

Some queries to begin with; add cells as you need them.
%%
case.sql("""
    SELECT initiator, responder, service_port, count(*) AS connections,
           sum(bytes_out) AS bytes_out, min(first_seen) AS first, max(last_seen) AS last
    FROM connections
    WHERE direction = 'outbound' AND NOT intermediate
    GROUP BY ALL
    ORDER BY bytes_out DESC, initiator, responder, service_port
    LIMIT 10
""")
%%
case.sql("""
    SELECT source_ip, principal_name, count(*) AS calls,
           min(event_time) AS first, max(event_time) AS last
    FROM api_events
    GROUP BY ALL
    ORDER BY first, source_ip, principal_name
""")
%%
## Timeline

A row for each event: time, actor, activity, object. The activity of an API call is its name, that
of a GuardDuty finding its type; for traffic use plain words: administrative session, login
attempts, scan, internal session, rejected attempts, beaconing begins, beaconing ends, mining
begins, mining ends, data transfer, DNS query, logging gap. Times are right within a minute, or
within an aggregation interval.

A row looks like this: `("2026-01-01 12:00:00", "10.0.0.5", "data transfer", "192.0.2.1"),`
%%
timeline = pd.DataFrame(
    [
    ],
    columns=["time", "actor", "activity", "object"],
)
%%
## Indicators

What belongs to the intruder: addresses, domains, access keys, users. A benign host or principal
in this list costs a point.
%%
indicators = pd.DataFrame({"indicator": []})
%%
ANSWERS.mkdir(parents=True, exist_ok=True)
timeline.to_csv(ANSWERS / "timeline.csv", index=False)
indicators.to_csv(ANSWERS / "indicators.csv", index=False)
print(f"{len(timeline)} events and {len(indicators)} indicators are in {ANSWERS}.")
'''

_INSTRUCTOR = """
# For the trainer: solution and scores

This notebook shows the answer key. Do not give it to trainees.
%%
from pathlib import Path

import pandas as pd

import flowbench as fb
from flowbench.scenario.exercises.facts import read_key
from flowbench.training import grading

KEY = Path($key)
EVIDENCE = $evidence
CASE = $case
ANSWERS = Path($answers)  # a folder for each trainee
%%
key = read_key(KEY)
print(f"{key.scenario}: {key.summary}\\n{key.settings}")
%%
## What happened
%%
facts = pd.DataFrame(key.facts, columns=["kind", "activity", "actor", "object", "time"])
facts["time"] = pd.to_datetime(facts["time"], unit="s", utc=True)
facts["object"] = facts["object"].fillna("")
facts[["time", "kind", "actor", "activity", "object"]]
%%
pd.DataFrame(key.indicators, columns=["type", "value", "meaning"])
%%
## What was benign

For the discussion: which of these was suspected, and what would have settled it?
%%
benign = pd.Series(key.benign, name="explanation", dtype="str")
benign[~benign.str.contains("as usual|an employee")].to_frame()
%%
## What flowbench finds without an analyst

The timeline and the indicators of an unattended run, graded like a trainee's. What is missing is
the trainees' work; what is too much is what they have to rule out.
%%
case = fb.Case.open(CASE) if Path(CASE, "case.json").exists() else fb.Case.create(CASE)
case.ingest(EVIDENCE)
findings = fb.detect.run(case, keep=False)
rows = fb.timeline.build(case, findings=findings)
found = fb.timeline.collect_indicators(case, findings)
answers = grading.Answers("flowbench", rows.to_dict("records"), found["indicator"].tolist())
print(grading.grade(key, answers).to_text())
%%
## The class

Put the folder of each trainee into the folder `ANSWERS`, and run these cells again.
%%
folders = sorted(path for path in ANSWERS.glob("*") if path.is_dir())
grades = grading.grade_class(key, folders)
scores = grading.to_frame(grades)
scores.drop(columns=["scenario", "rows"])
%%
if grades:
    stated = pd.DataFrame([grade.stated for grade in grades], columns=range(len(key.facts)))
    facts["stated_by"] = [f"{n} of {len(grades)}" for n in stated.sum()]
facts
%%
for grade in grades:
    print(grade.to_text(), end="\\n\\n")
"""


def notebook_paths(evidence: Path, key: Path) -> tuple[Path, Path]:
    """Return the paths of the trainee's and the trainer's notebook.

    Raises:
        InputError: One of them is there already.
    """
    beside = evidence.absolute()
    paths = (
        beside.with_name(f"{beside.name}-exercise.ipynb"),
        key.absolute().with_name(f"{key.stem.removesuffix('-key')}-instructor.ipynb"),
    )
    for path in paths:
        if path.exists():
            raise InputError(f"{path} exists: move it, or choose another folder")
    return paths


def write_notebooks(evidence: Path, key: Path) -> tuple[Path, Path]:
    """Write both notebooks, and return their paths. Paths in them are relative.

    Args:
        evidence: The folder of the evidence.
        key: The file of the answer key.

    Raises:
        InputError: A notebook is there already, or cannot be written.
    """
    trainee, trainer = notebook_paths(evidence, key)
    name = evidence.absolute().name
    _write(trainee, _EXERCISE, evidence=evidence, case=trainee.with_name(f"{name}-case"))
    _write(
        trainer,
        _INSTRUCTOR,
        evidence=evidence,
        key=key,
        case=trainer.with_name(f"{trainer.stem}-case"),
        answers=trainee.with_name("answers"),
    )
    return trainee, trainer


def _write(path: Path, text: str, **paths: Path) -> None:
    """Write a notebook of cells that are separated by %%; the paths become literals of Python."""
    literals = {
        name: ascii(Path(os.path.relpath(target.absolute(), path.parent)).as_posix())
        for name, target in paths.items()
    }
    notebook = nbformat.v4.new_notebook()
    notebook.metadata["kernelspec"] = {
        "display_name": "Python 3",
        "language": "python",
        "name": "python3",
    }
    for number, source in enumerate(Template(text).substitute(literals).split("%%\n"), 1):
        is_text = source.lstrip().startswith("#")
        new_cell = nbformat.v4.new_markdown_cell if is_text else nbformat.v4.new_code_cell
        notebook.cells.append(new_cell(source.strip(), id=f"cell-{number:02}"))
    try:
        atomic.write_bytes(path, nbformat.writes(notebook).encode())
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from error
