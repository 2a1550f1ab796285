"""The evidence of lessons: generated where it is missing, and loaded into a case."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from flowbench import scenario
from flowbench.errors import InputError
from flowbench.investigate.hunting import Case
from flowbench.scenario import exercises
from flowbench.scenario.exercises.facts import AnswerKey

_WINTERDAY = Path("data") / "winterday" / "evidence"


def find_work_folder() -> Path:
    """Return the folder for cases of lessons: cases/training beside the data of the notebooks.

    Without such data in the current folder or above, it is in the current folder.
    """
    here = Path.cwd()
    root = next((path for path in (here, *here.parents) if (path / _WINTERDAY).is_dir()), here)
    return root / "cases" / "training"


def open_case(settings: Mapping[str, Any], folder: Path) -> Case:
    """Return the case with the evidence of a lesson, made where it is missing.

    Args:
        settings: ``scenario``, which is ``winterday`` or one of ``exercises.NAMES``; the arguments
            that generate it: seed, difficulty, version, window, days; and ``name`` of the case
            where the others would tell too much.
        folder: The work folder. Lessons with the same evidence share a case.

    Raises:
        InputError: The settings are not those of a scenario, or the folder cannot be written.
        CaseError: The case cannot be opened or made.
    """
    name = str(settings.get("name") or "-".join(str(value) for value in settings.values()))
    if not name.replace("-", "").isalnum():  # it becomes the name of a folder
        raise InputError(f"{name!r} is not the evidence of a lesson")
    path = folder / name
    case = Case.open(path) if (path / "case.json").exists() else Case.create(path, f"Lesson {name}")
    if not case.has("flows"):  # or an earlier load was stopped
        case.ingest(_find_evidence(dict(settings), folder / "evidence" / name))
    return case


def simulate_key(settings: Mapping[str, Any]) -> AnswerKey:
    """Return the answer key of an exercise. Raises InputError where the evidence is another."""
    arguments = dict(settings)
    arguments.pop("name", None)
    if (kind := arguments.pop("scenario", None)) not in exercises.NAMES:
        raise InputError(f"{kind} has no answer key: only exercises have")
    return exercises.simulate(kind, **arguments).key


def _find_evidence(settings: dict[str, Any], out: Path) -> Path:
    """Return the folder of the evidence; generate it where it is missing, and leave out its key."""
    settings.pop("name", None)
    kind = settings.pop("scenario", None)
    known = find_work_folder().parents[1] / _WINTERDAY
    if kind == "winterday" and known.is_dir():
        return known
    if out.is_dir():
        return out
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".lesson-", dir=out.parent) as aside:
            made = Path(aside) / "evidence"
            if kind == "winterday":
                scenario.write(kind, Path(aside) / "winterday", **settings)
                made = Path(aside) / "winterday" / "evidence"
            else:
                exercises.write(kind, made, Path(aside) / "key.json", **settings)
            made.rename(out)  # complete or not there
    except OSError as error:
        raise InputError(f"cannot write {out}: {error.strerror}") from error
    except TypeError as error:
        raise InputError(f"{settings} are not the arguments of a scenario: {error}") from error
    return out
