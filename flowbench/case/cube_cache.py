"""The cube of a case, which its panels read, in the cache: counts of connections, and addresses."""

from __future__ import annotations

import tempfile
import weakref
from functools import cached_property
from pathlib import Path
from shutil import rmtree
from typing import TYPE_CHECKING

import ibis

from flowbench import engine, enrich
from flowbench.case import cache, cube
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
        return cube.read_cube(self._connection, self._cube_folder)

    def compute_connections(self) -> None:
        """Compute connections and cube now, so that the first question does not wait for them.

        Nothing is done for what the cache has, or without flow log records. An interruption at any
        time leaves the case as it was: they are then computed when they are first asked for.

        Raises:
            CaseError: There is not enough room.
        """
        if self.has("flows"):
            _ = self._cube_folder

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

        One row for each address and assignment. Read from the cache where that has the cube.
        """
        if self._has_cube:
            return engine.read_parquet(self._connection, self._cube_folder / _INVENTORY)
        return self._compute_addresses()

    @property
    def _has_cube(self) -> bool:
        return "_cube_folder" in self.__dict__ or cache.is_intact(self._name_folder(), self.log)

    @cached_property
    def _cube_folder(self) -> Path:
        _ = self._cache_folder  # is made before: both are made under one lock
        try:
            return cache.ensure(
                self.path, self.log, self.progress, self._name_folder, self._build_cube
            )
        except OSError:  # a read-only disk: computed for this object alone
            folder = Path(tempfile.mkdtemp(prefix="flowbench-"))
            weakref.finalize(self, rmtree, folder, ignore_errors=True)
            self._build_cube(folder / "cube", self.progress)
            return folder / "cube"

    def _build_cube(
        self,
        folder: Path,
        progress: cache.Progress,
        _earlier: Path | None = None,
    ) -> None:
        folder.mkdir()
        inventory = self._compute_addresses()
        cube.build_cube(self._connection, self.connections, inventory, folder, progress)
        rows = inventory.order_by("address", "valid_from", "interface_id")
        schema = inventory.schema().to_pyarrow()
        engine.write_parquet(self._connection, [rows], folder / _INVENTORY, schema)

    def _name_folder(self) -> Path:
        code = [*sorted(Path(enrich.__file__).parent.glob("*.py")), Path(cube.__file__)]
        hashes = [self._cache_folder.name, *map(atomic.sha256_file, code)]
        hashes += [part["sha256"] for part in self.log.parts]  # names, countries, indicators
        key = atomic.sha256_bytes("".join(hashes).encode())[:16]
        return self.path / cache.FOLDER / f"cube-{key}"

    def _forget_computed(self) -> None:
        super()._forget_computed()
        for name in ("cube", "session_counts", "_cube_folder"):
            self.__dict__.pop(name, None)
