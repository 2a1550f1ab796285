"""The cube of a case, which its panels read, in the cache: counts of connections, and addresses."""

from __future__ import annotations

import tempfile
import weakref
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from shutil import rmtree
from typing import TYPE_CHECKING

import ibis

from flowbench import engine, enrich
from flowbench.case import cache, cube, cube_build
from flowbench.case.tables import CaseTables
from flowbench.enrich import admin_sessions
from flowbench.io import atomic

if TYPE_CHECKING:
    from flowbench.case.cube import Cube

_INVENTORY = "addresses.parquet"


class CaseCube(CaseTables):
    """The tables of a case with its cube; ``Case`` inherits it."""

    @cached_property
    def cube(self) -> Cube:
        """The cube (case.cube): made when it is first asked for, then read from the cache.

        Its cells stay in memory until the case is loaded again or collected: about 60 bytes each.
        """
        return cube.read_cube(self._connection, self._cube_folder, self._inventory_folder)

    def compute_connections(self) -> None:
        """Compute connections and cube now, so that the first question does not wait for them.

        Nothing is done for what the cache has, or without flow log records. An interruption at any
        time leaves the case as it was: they are then computed when they are first asked for.

        Raises:
            CaseError: There is not enough room.
        """
        if self.has("flows"):
            _ = self._inventory_folder

    def interrupt(self) -> None:
        """End the running query of this object, from any thread: duckdb.InterruptException."""
        self._connection.con.interrupt()

    @cached_property
    def session_counts(self) -> dict[str, int]:
        """How many administrative sessions each external address held (enrich.admin_sessions)."""
        return admin_sessions.count_sessions(self.connections)

    @cached_property
    def addresses(self) -> ibis.Table:
        """The address inventory (enrich.inventory.TABLE, enrich.address_context.TABLE).

        One row for each address and assignment. Read from the cache where that has it.
        """
        name = self._name_inventory_folder
        if "_inventory_folder" in self.__dict__ or cache.is_intact(name(), self.log):
            return engine.read_parquet(self._connection, self._inventory_folder / _INVENTORY)
        return self._compute_addresses()

    @cached_property
    def _cube_folder(self) -> Path:
        return self._ensure(self._name_cube_folder, self._build_cube, self._find_earlier_cube)

    @cached_property
    def _inventory_folder(self) -> Path:
        _ = self._cube_folder  # is made before: both are made under one lock
        return self._ensure(self._name_inventory_folder, self._write_inventory)

    def _ensure(
        self,
        name_folder: Callable[[], Path],
        build: Callable[[Path, cache.Progress, Path | None], None],
        find_earlier: Callable[[], Path | None] = lambda: None,
    ) -> Path:
        """Return a folder of the cache; on a read-only disk one that is made for this object."""
        _ = self._cache_folder  # is made before, like the cube
        try:
            return cache.ensure(
                self.path, self.log, self.progress, name_folder, build, find_earlier
            )
        except OSError:
            folder = Path(tempfile.mkdtemp(prefix="flowbench-"))
            weakref.finalize(self, rmtree, folder, ignore_errors=True)
            build(folder / "made", self.progress, None)
            return folder / "made"

    def _build_cube(self, folder: Path, progress: cache.Progress, earlier: Path | None) -> None:
        folder.mkdir()
        files = cache.table_files(self._cache_folder, "connections")
        cube_build.build_cube(self._connection, files, folder, earlier, progress)

    def _write_inventory(
        self, folder: Path, progress: cache.Progress, _earlier: Path | None
    ) -> None:
        folder.mkdir()
        progress(0, 1, "describing the addresses of the connections")
        inventory = self._compute_addresses()
        cube_build.describe_addresses(self._connection, inventory, self._cube_folder, folder)
        rows = inventory.order_by("address", "valid_from", "interface_id")
        schema = inventory.schema().to_pyarrow()
        engine.write_parquet(self._connection, [rows], folder / _INVENTORY, schema)
        progress(1, 1, "")

    def _find_earlier_cube(self) -> Path | None:
        folders = sorted((self.path / cache.FOLDER).glob("cube-*"))
        return next((folder for folder in folders if cache.is_intact(folder, self.log)), None)

    def _name_cube_folder(self) -> Path:
        return self._name_folder("cube", cube_build.code_digest())

    def _name_inventory_folder(self) -> Path:
        code = sorted(Path(enrich.__file__).parent.glob("*.py"))
        used = [part["sha256"] for part in self.log.parts if part["table"] != "quarantine"]
        hashes = [cube_build.code_digest(), *map(atomic.sha256_file, code), *used]
        return self._name_folder("addresses", *hashes)

    def _name_folder(self, kind: str, *hashes: str) -> Path:
        key = atomic.sha256_bytes("".join([self._cache_folder.name, *hashes]).encode())[:16]
        return self.path / cache.FOLDER / f"{kind}-{key}"

    def _forget_computed(self) -> None:
        super()._forget_computed()
        for name in ("cube", "session_counts", "_cube_folder", "_inventory_folder"):
            self.__dict__.pop(name, None)
