"""What is worked out from a case's tables once and kept: connections, pairs, interfaces seen.

Everything is written aside and put in its place whole, under a lock: a kill at any instant leaves
the old state and a scratch folder, which the next one to come removes.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import filelock
import ibis

from flowbench import connections, engine
from flowbench.case import custody
from flowbench.enrich import assignments, inventory
from flowbench.errors import CaseError
from flowbench.io.stream import digest
from flowbench.loaders import registry

SUMS = "SHA256SUMS"  # as `sha256sum --check` reads it

_STALE = 86_400  # seconds after which what a query left on the disk belongs to nobody


def spill_folder(case: Path) -> Path:
    """Where a case's queries put what does not fit the memory; not made before it is needed."""
    if os.access(case, os.W_OK):
        return case / f"spill-{os.getpid()}"
    return Path(tempfile.gettempdir()) / f"flowbench-spill-{os.getpid()}"


def made(case: Path, log: custody.Log, progress: Callable[[int, int, str], None]) -> Path:
    """The folder with connections, pairs and sightings (.parquet), made now if it is not there.

    Its name holds what they are worked out from: the parts of the tables, and the code; SHA256SUMS
    in it, what came out. What was changed since is worked out anew, not believed. Raises
    OSError when the case is on a read-only disk (see ``made_elsewhere``), CaseError when there is
    not room enough.
    """
    folder = case / "derived" / f"connections-{_key(log)}"
    if not all(same for _, same in files(folder)):
        folder.parent.mkdir(exist_ok=True)
        with filelock.FileLock(folder.parent / "derived.lock"):
            if not all(same for _, same in files(folder)):  # another process may just have made it
                _tidy(folder.parent)
                aside = folder.with_suffix(".aside")
                try:
                    _make(case, log, aside, progress)
                    sums = [f"{digest(path)[0]}  {path.name}\n" for path in sorted(aside.iterdir())]
                    (aside / SUMS).write_text("".join(sums), encoding="ascii")
                    aside.replace(folder)
                finally:
                    shutil.rmtree(aside, ignore_errors=True)
    return folder


def files(folder: Path) -> list[tuple[str, bool]]:
    """Each file that was worked out into a folder, and whether it is still the same."""
    try:
        lines = (folder / SUMS).read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):
        return [(SUMS, False)]
    pairs = [line.partition("  ") for line in lines]
    return [(Path(name).name, _is(folder / Path(name).name, sha256)) for sha256, _, name in pairs]


def _is(path: Path, sha256: str) -> bool:
    try:
        return digest(path)[0] == sha256
    except OSError:
        return False


def made_elsewhere(
    case: Path, log: custody.Log, progress: Callable[[int, int, str], None], scratch: Path
) -> Path:
    """The same in a folder of the caller's, for a case that cannot be written."""
    folder = scratch / f"connections-{_key(log)}"
    _make(case, log, folder, progress)
    return folder


def _make(
    case: Path, log: custody.Log, folder: Path, progress: Callable[[int, int, str], None]
) -> None:
    folder.mkdir()
    connection = engine.connect(folder / "spill")  # of its own: all its memory is given back

    def table(name: str) -> ibis.Table:
        parts = [case / "tables" / part["file"] for part in log.parts if part["table"] == name]
        return engine.scan(connection, registry.tables()[name], parts)

    try:
        connections.write(
            connection, table("flows"), table("interfaces"), folder, progress=progress
        )
        seen = assignments.sightings(table("flows"), table("interfaces"))
        columns = seen.schema().to_pyarrow()
        engine.save(connection, [seen], folder / "sightings.parquet", columns)
    except (duckdb.IOException, duckdb.OutOfMemoryException) as error:
        raise CaseError(
            f"the connections cannot be worked out, there is no room in memory or in {folder}:"
            f" {str(error).splitlines()[0]}"
        ) from error
    finally:
        connection.disconnect()
    for scratch in (folder / "records", folder / "spill"):
        shutil.rmtree(scratch, ignore_errors=True)


def _key(log: custody.Log) -> str:
    code = sorted(Path(connections.__file__).parent.glob("*.py"))
    code += [Path(inventory.__file__), Path(assignments.__file__)]
    parts = "".join(part["sha256"] for part in log.parts)
    return custody.digest({"parts": parts, "code": [p.read_bytes().hex() for p in code]})[:16]


def _tidy(folder: Path) -> None:
    """Remove what was worked out from other tables, and what a kill left."""
    for path in [*folder.glob("connections-*"), *folder.glob("pairs-*")]:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    for path in folder.parent.glob("spill-*"):
        if time.time() - path.stat().st_mtime > _STALE:
            shutil.rmtree(path, ignore_errors=True)
