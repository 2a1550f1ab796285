"""The cache of a case: tables computed once from its tables, and kept on the disk.

Each set is written aside and renamed as a whole, under a lock: a kill leaves the old state and a
folder aside, which the next process removes.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import ibis

from flowbench import connections, engine
from flowbench.case import custody
from flowbench.enrich import assignments, intervals, monitored_network, own_addresses, ownership
from flowbench.errors import CaseError
from flowbench.io import atomic
from flowbench.loaders import registry

FOLDER = "cache"
SUMS = "SHA256SUMS"  # in the format of ``sha256sum --check``

_SPILL_AGE = 86_400  # seconds after which a query's temporary files belong to no running process


def spill_folder(case: Path) -> Path:
    """Return where a case's queries write what exceeds the memory; made when it is needed."""
    if os.access(case, os.W_OK):
        return case / f"spill-{os.getpid()}"
    return Path(tempfile.gettempdir()) / f"flowbench-spill-{os.getpid()}"


def ensure_tables(
    case: Path, log: custody.CustodyLog, progress: Callable[[int, int, str], None]
) -> Path:
    """Return the folder with the computed tables, and compute them if they are not there.

    The tables are connections, connection_summaries and sightings (.parquet). The folder's name
    has a digest of what they are computed from: the parts of the tables, and the code. SHA256SUMS
    in it lists their hashes; changed files are computed again.

    Raises:
        OSError: The case is on a read-only disk; see ``build_elsewhere``.
        CaseError: There is not enough room.
    """
    folder = case / FOLDER / f"connections-{_key(log)}"
    if not _is_intact(folder):
        folder.parent.mkdir(exist_ok=True)
        busy = f"the connections of {case} are being computed"
        with atomic.lock(folder.parent / "cache.lock", busy, timeout=-1):
            if not _is_intact(folder):  # another process may just have computed them
                _remove_outdated(folder.parent)
                with atomic.write_aside(folder) as aside:
                    _build(case, log, aside, progress)
                    names = sorted(path.name for path in aside.iterdir())
                    sums = [f"{atomic.sha256_file(aside / name)}  {name}\n" for name in names]
                    (aside / SUMS).write_text("".join(sums), encoding="ascii")
    return folder


def build_elsewhere(
    case: Path,
    log: custody.CustodyLog,
    progress: Callable[[int, int, str], None],
    folder: Path,
) -> Path:
    """Compute the tables of a case that cannot be written, in a new folder in ``folder``."""
    folder = folder / f"connections-{_key(log)}"
    _build(case, log, folder, progress)
    return folder


def check_files(folder: Path) -> list[tuple[str, bool]]:
    """Return the name of each computed file in a folder, and whether it is intact."""
    try:
        lines = (folder / SUMS).read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):
        return [(SUMS, False)]
    sums = [(Path(name).name, sha256) for sha256, _, name in (ln.partition("  ") for ln in lines)]
    return [(name, atomic.is_intact(folder / name, sha256)) for name, sha256 in sums]


def _is_intact(folder: Path) -> bool:
    return all(is_intact for _, is_intact in check_files(folder))


def _build(
    case: Path,
    log: custody.CustodyLog,
    folder: Path,
    progress: Callable[[int, int, str], None],
) -> None:
    folder.mkdir()
    connection = engine.connect(folder / "spill")  # of its own: all its memory is given back

    def table(name: str) -> ibis.Table:
        parts = [case / "tables" / part["file"] for part in log.parts if part["table"] == name]
        return engine.scan(connection, registry.tables()[name], parts)

    try:
        flows = table("flows")
        inventory = monitored_network.Inventory(*map(table, monitored_network.Inventory._fields))
        own = own_addresses.own_addresses(connection, flows, inventory.interfaces)
        connections.build_connections(connection, flows, inventory, own, folder, progress=progress)
        sightings = assignments.find_sightings(flows, own)
        schema = sightings.schema().to_pyarrow()
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


def _key(log: custody.CustodyLog) -> str:
    code = sorted(Path(connections.__file__).parent.glob("*.py"))
    used = (assignments, intervals, monitored_network, own_addresses, ownership)
    code += [Path(str(module.__file__)) for module in used]
    hashes = [part["sha256"] for part in log.parts] + [atomic.sha256_file(path) for path in code]
    return atomic.sha256_bytes("".join(hashes).encode())[:16]


def _remove_outdated(folder: Path) -> None:
    """Remove tables computed from other parts or by other code, and what a kill left."""
    for path in folder.glob("connections-*"):
        shutil.rmtree(path)
    for path in folder.parent.glob("spill-*"):
        if time.time() - path.stat().st_mtime > _SPILL_AGE:
            shutil.rmtree(path, ignore_errors=True)
