"""The cache of a case: tables computed once from its tables, and kept on the disk.

Each set is written aside and renamed as a whole, under a lock: a kill leaves the old state and a
folder aside, which the next process removes. The custody log has the digest of each cached table: a
changed one no longer matches it. The rows are in a total order, so that the same tables give the
same bytes on any number of cores.

Connections are in files by period of time. After a load most of them are linked from the folder
that was computed before it, if that is intact; the bytes are those of computing all of them again
(connections.extension), so that ``verify --recompute`` need not know how they were made.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable
from functools import partial
from importlib.metadata import version
from pathlib import Path

import duckdb
import ibis

from flowbench import connections, engine
from flowbench.case import custody, set_aside
from flowbench.case.custody_entry import JsonObject, Part
from flowbench.enrich import assignments, intervals, monitored_network, own_addresses, ownership
from flowbench.errors import CaseError
from flowbench.io import atomic
from flowbench.loaders import registry

FOLDER = "cache"
KINDS = ("connections-", "cube-", "addresses-")  # of folders, by what their names begin with
Progress = Callable[[int, int, str], None]
ACTION = "connections"  # of the entries with the digests of what was computed

WRITERS = ("duckdb", "ibis-framework", "pyarrow")  # packages on which the bytes depend
_SPILL_AGE = 86_400  # seconds after which a query's temporary files belong to no running process


def spill_folder(case: Path) -> Path:
    """Return where a case's queries write what exceeds the memory; made when it is needed."""
    if os.access(case, os.W_OK):
        return case / f"spill-{os.getpid()}"
    return Path(tempfile.gettempdir()) / f"flowbench-spill-{os.getpid()}"


def ensure_tables(case: Path, log: custody.CustodyLog, progress: Progress) -> Path:
    """Return the folder with the computed tables, and compute them if they are not there.

    The tables are connections (in several files), connection_summaries, address_zones and sightings
    (.parquet); ``table_files`` names the files. The folder's name has a digest of what they are
    computed from: the parts of flow log records and of the inventory, and the code. Tables that are
    not as the log has them are set aside and computed again.

    Raises:
        OSError: The case or its log cannot be written; see ``build_elsewhere``.
        CaseError: There is not enough room.
    """
    name, find = partial(_folder, case, log), partial(_find_earlier, case, log)
    return ensure(case, log, progress, name, partial(_build, case, log), find)


def ensure(
    case: Path,
    log: custody.CustodyLog,
    progress: Progress,
    name_folder: Callable[[], Path],
    build: Callable[[Path, Progress, Path | None], None],
    find_earlier: Callable[[], Path | None] = lambda: None,
) -> Path:
    """Return a folder of computed tables that are as the log has them; compute them if need be.

    Args:
        case: The folder of the case.
        log: Its custody log.
        progress: Called with (steps done, number of steps, description of the next step).
        name_folder: Returns the folder, whose name has a digest of what is computed from.
        build: Writes the tables into a folder that it makes, given an earlier one.
        find_earlier: Returns a folder with intact tables of the case before the last load, which
            is kept until the new ones are there.

    Raises:
        OSError: The case or its log cannot be written.
    """
    if not is_intact(folder := name_folder(), log):
        if not log.can_append:
            raise PermissionError(f"{log.path} cannot be written")
        folder.parent.mkdir(exist_ok=True)
        busy = f"the tables in the cache of {case} are being computed"

        def say(text: str) -> None:
            progress(0, 1, text)

        with atomic.lock(folder.parent / "cache.lock", busy, timeout=-1, waiting=say):
            log.refresh()  # another process may just have computed them
            if not is_intact(folder := name_folder(), log):
                _set_changed_aside(case, log, folder)
                earlier = find_earlier()
                _remove_outdated(folder, earlier)
                with atomic.write_aside(folder) as aside:
                    build(aside, progress, earlier)
                    files = hash_files(aside)
                    if files not in recorded_files(log, folder):
                        log.append(ACTION, folder=folder.name, files=files)
                _remove_outdated(folder, folder)
    return folder


def build_elsewhere(
    case: Path,
    log: custody.CustodyLog,
    progress: Progress,
    folder: Path,
) -> Path:
    """Compute the tables of a case that cannot be written, in a new folder in ``folder``."""
    folder = folder / _folder(case, log).name
    _build(case, log, folder, progress)
    return folder


def table_files(folder: Path, name: str) -> list[Path]:
    """Return the files of a computed table, in the order of its rows."""
    whole = folder / f"{name}.parquet"
    return [whole] if whole.exists() else sorted(folder.glob(f"{name}-*.parquet"))


def hash_files(folder: Path) -> list[JsonObject]:
    """Return what the log records of the computed files in a folder, by name."""
    return [
        {"file": path.name, "sha256": atomic.sha256_file(path), "bytes": path.stat().st_size}
        for path in sorted(folder.iterdir())
    ]


def recorded_files(log: custody.CustodyLog, folder: Path) -> list[list[JsonObject]]:
    """Return what the log records of the computed files in a folder, oldest first.

    The first is used. A later one that differs was not computed by the same code from the same
    tables.
    """
    details = (entry["details"] for entry in log.entries_of(ACTION))
    return [d["files"] for d in details if d.get("folder") == folder.name and d.get("files")]


def _set_changed_aside(case: Path, log: custody.CustodyLog, folder: Path) -> None:
    """Move the files in a folder aside that are not as the log has them."""
    recorded = recorded_files(log, folder)
    sums = {file["file"]: file["sha256"] for files in recorded[:1] for file in files}
    unrecorded = set_aside.find_unrecorded(folder, "*", set(sums))
    set_aside.move_aside(case, log, unrecorded, set_aside.UNRECORDED)
    paths = [folder / Path(name).name for name in sums]
    changed = [p for p in paths if p.exists() and not atomic.is_intact(p, sums[p.name])]
    set_aside.move_aside(case, log, changed, set_aside.CHANGED)


def is_intact(folder: Path, log: custody.CustodyLog) -> bool:
    """Whether the computed tables in a folder are there, as the log has them."""
    recorded = recorded_files(log, folder)
    return bool(recorded) and all(
        atomic.is_intact(folder / Path(file["file"]).name, file["sha256"]) for file in recorded[0]
    )


def _build(
    case: Path,
    log: custody.CustodyLog,
    folder: Path,
    progress: Progress,
    earlier: Path | None = None,
) -> None:
    folder.mkdir()
    connection = engine.connect(folder / "spill", [case, folder])  # its memory is released

    def table(name: str, parts: Iterable[Part] = _used_parts(log)) -> ibis.Table:
        paths = [case / "tables" / part["file"] for part in parts if part["table"] == name]
        return engine.scan(connection, registry.tables()[name], paths)

    try:
        flows = table("flows")
        inventory = monitored_network.Inventory(*map(table, monitored_network.Inventory._fields))
        own = own_addresses.own_addresses(connection, flows, inventory.interfaces)
        before = None
        if earlier:
            parts = _used_parts(log)
            count = _names(parts).index(earlier.name)
            old, added = table("flows", parts[:count]), table("flows", parts[count:])
            before = connections.Before(earlier, old, added)
        connections.build_connections(
            connection, flows, inventory, own, folder, before=before, progress=progress
        )
        sightings = assignments.find_sightings(flows, own)
        schema = sightings.schema().to_pyarrow()
        sightings = sightings.order_by("interface_id", "instance_id")
        engine.write_parquet(connection, [sightings], folder / "sightings.parquet", schema)
    except (duckdb.IOException, duckdb.OutOfMemoryException) as error:
        raise CaseError(
            f"cannot compute the connections: not enough room in memory or in {folder}:"
            f" {str(error).splitlines()[0]}"
        ) from error
    finally:
        connection.disconnect()
    for temporary in (folder / "records", folder / "spill"):
        shutil.rmtree(temporary, ignore_errors=True)


def _find_earlier(case: Path, log: custody.CustodyLog) -> Path | None:
    """Find intact tables that were computed before the last parts were loaded."""
    parts = _used_parts(log)
    names = _names(parts)
    for count in range(len(parts) - 1, 0, -1):
        folder = case / FOLDER / names[count]
        if folder.is_dir() and is_intact(folder, log):
            return folder
    return None


def _folder(case: Path, log: custody.CustodyLog) -> Path:
    return case / FOLDER / _names(_used_parts(log))[-1]


def _used_parts(log: custody.CustodyLog) -> list[Part]:
    tables = {"flows", *monitored_network.Inventory._fields}
    return [part for part in log.parts if part["table"] in tables]


def _names(parts: list[Part]) -> list[str]:
    """The name of the folder with what is computed from the first 0, 1, ... of some parts."""
    code = sorted(Path(connections.__file__).parent.glob("*.py"))
    used = (assignments, intervals, monitored_network, own_addresses, ownership)
    code += [Path(str(module.__file__)) for module in used]
    hashes = [atomic.sha256_file(path) for path in code] + [version(name) for name in WRITERS]
    digest = hashlib.sha256("".join(hashes).encode())
    names = [digest.hexdigest()]
    for part in parts:
        digest.update(part["sha256"].encode())
        names.append(digest.hexdigest())
    return [f"connections-{name[:16]}" for name in names]


def _remove_outdated(folder: Path, kept: Path | None) -> None:
    """Remove such tables computed from other parts or by other code, and what a kill left."""
    for path in folder.parent.glob(f"{folder.name.partition('-')[0]}-*"):
        if path != kept:
            shutil.rmtree(path)
    for path in folder.parent.parent.glob("spill-*"):
        if time.time() - path.stat().st_mtime > _SPILL_AGE:
            shutil.rmtree(path, ignore_errors=True)
