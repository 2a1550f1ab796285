"""A case: one folder with the tables read from the evidence, and the log of what was done.

    case/
      case.json       what it is
      custody.jsonl   the custody log: every load with its files and their digests (see custody)
      tables/         Parquet parts, one folder a table (see store)
      findings/       what the detectors found, run by run (see runs)
      derived/        what can be computed again: delete it whenever you like
      evidence/       copies of the evidence, with ``copy=True`` only, and what was fetched
      spill-*/        what a running query cannot hold in memory

Copy the folder and you have copied the case. The evidence itself is read, never written.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import weakref
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import ibis
import pandas as pd
import pyarrow as pa

from flowbench import __version__, engine
from flowbench.case import cache, custody, verify
from flowbench.case import ingest as ingestion
from flowbench.case.provenance import behind
from flowbench.enrich import assignments, external, indicators, interface_events, inventory
from flowbench.errors import CaseError
from flowbench.loaders import registry
from flowbench.loaders.evidence import Evidence
from flowbench.loaders.flowlogs import formats as record_formats
from flowbench.loaders.intel.lists import ALLOW, column_map
from flowbench.schema import to_frame
from flowbench.text import escape_undecodable

_FORMAT = 1  # of the case folder; a later one must be opened by a later flowbench


class Case:
    """One investigation. Make it with ``Case.create`` or ``Case.open``."""

    def __init__(self, path: Path) -> None:
        self.path = path
        about = _about(path)
        self.name: str = about["name"]
        self.log = custody.Log(path / "custody.jsonl", f"flowbench {__version__}")
        # Called with (steps done, of steps, what is done next) while something large is worked out.
        self.progress: Callable[[int, int, str], None] = lambda *_: None
        self._connection = engine.connect(cache.spill_folder(path))

    # ---- making and opening -------------------------------------------------------------

    @classmethod
    def create(cls, path: str | Path, name: str | None = None) -> Case:
        """Make a new, empty case in a folder that does not exist yet, or is empty.

        Raises CaseError when there is something in the way.
        """
        path = Path(path)
        if (path / "case.json").exists():
            raise CaseError(f"{path} is a case already: open it, or choose another folder")
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise CaseError(f"{path} exists and is not an empty folder: choose another place")
        about = {
            "name": name or path.absolute().name,
            "format": _FORMAT,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        try:
            path.mkdir(parents=True, exist_ok=True)
            aside = path / "case.json.aside"
            aside.write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
            aside.replace(path / "case.json")
        except OSError as error:
            raise CaseError(f"cannot make a case at {path}: {error.strerror}") from error
        case = cls(path)
        case.log.append("create", name=about["name"])
        return case

    @classmethod
    def open(cls, path: str | Path) -> Case:
        """Open a case. Raises CaseError when ``path`` is none."""
        return cls(Path(path))

    def __repr__(self) -> str:
        return f"Case({str(self.path)!r}: {len(self.evidence)} files of evidence)"

    # ---- evidence -----------------------------------------------------------------------

    def ingest(
        self,
        *paths: str | Path,
        kind: str | None = None,
        formats: Sequence[str] = (),
        columns: Sequence[str] = (),
        copy: bool = False,
        progress: Callable[[int, int, str], None] | None = None,
    ) -> pd.DataFrame:
        """Read evidence files, or whole folders of them, into the case's tables.

        Kinds are told by content; ``kind`` forces a text kind ('flow-logs', 'indicators').
        ``formats`` are format strings (``${version} ${srcaddr} …``) of flow logs without a header;
        those in a recorded describe-flow-logs answer are known anyway. ``columns`` name those of
        CSV indicator lists: ``indicator=IP,kind=Threat``. A file whose bytes the case has already
        is left out, whatever its name; but if a table made of it is damaged, its whole load is read
        again. Files in zip and tar archives are evidence of their own. With ``copy`` the files are
        copied into the case first. ``progress`` is called with (bytes done, of bytes, file).

        Returns a frame with a row per file: file, kind, records, quarantined, outcome ('loaded',
        'already there', 'restored', 'not readable'). Raises InputError for a path that is not there
        and a format or map that is none, CaseError when the case cannot be written or is loaded.
        """
        try:
            return ingestion.ingest(
                self.path, self.log, paths, kind=kind, copy=copy, progress=progress,
                formats=tuple(record_formats.from_format(text) for text in formats),
                columns=column_map(columns),
            )  # fmt: skip
        finally:
            self._forget()

    @property
    def evidence(self) -> pd.DataFrame:
        """The manifest: a row per file of evidence, in the order of loading.

        Columns: source, file (as given), path, archive (the source of the archive there, for a
        member), member (its name in it), kind, sha256, size (bytes), records, quarantined, nodata,
        skipdata, first_seen, last_seen (UTC).
        """
        columns = [name for name in Evidence.columns() if name != "fields"]
        rows = [entry | {"path": escape_undecodable(entry["path"])} for entry in self.log.evidence]
        frame = pd.DataFrame(rows, columns=columns)
        for name in ("first_seen", "last_seen"):
            frame[name] = pd.to_datetime(frame[name], utc=True, format="ISO8601")
        return frame

    def verify(self) -> pd.DataFrame:
        """Read everything again and say what no longer matches (see ``verify.check``)."""
        return verify.check(self.path, self.log)

    def note(self, text: str, *, at: pd.Timestamp | None = None, about: str | None = None) -> None:
        """Write an analyst's note into the custody log; the timeline shows it at ``at`` (UTC)."""
        self.log.append(
            "note", text=text, at=at.isoformat() if at is not None else None, about=about
        )

    @property
    def notes(self) -> list[dict[str, Any]]:
        """The analyst's notes: text, at, about, and when and by whom they were written."""
        return [
            e["details"] | {"written": e["time"], "by": e["by"]}
            for e in self.log.entries
            if e["action"] == "note"
        ]

    def keep_policy(self, text: str) -> None:
        """Keep a segmentation policy with the case, in its custody log (see ``policy``).

        It holds from then on; the ones before stay in the log.
        """
        sha256 = hashlib.sha256(text.encode()).hexdigest()
        self.log.append("policy", sha256=sha256, text=text)

    @property
    def policy(self) -> str | None:
        """The text of the segmentation policy kept last, or None."""
        kept = [e["details"].get("text") for e in self.log.entries if e["action"] == "policy"]
        return kept[-1] if kept else None

    @property
    def custody(self) -> list[dict[str, Any]]:
        """The custody log's entries, oldest first."""
        return self.log.entries

    # ---- tables -------------------------------------------------------------------------

    def table(self, name: str) -> ibis.Table:
        """One of the tables that loading fills, as it lies in the parts."""
        if name not in self._tables:
            declared = registry.tables()[name]
            parts = [
                self.path / "tables" / part["file"]
                for part in self.log.parts
                if part["table"] == name
            ]
            if gone := [part for part in parts if not part.exists()]:
                raise CaseError(
                    f"{len(gone)} parts of the {name} table are missing, {gone[0].name} for one:"
                    " load the same evidence again, which restores them"
                )
            self._tables[name] = engine.scan(self._connection, declared, parts)
        return self._tables[name]

    def has(self, name: str) -> bool:
        """Whether loading put any row into that table; for 'policy', whether one is kept."""
        if name == "policy":
            return self.policy is not None
        return any(part["table"] == name for part in self.log.parts)

    @property
    def flows(self) -> ibis.Table:
        """Every flow log record (schema.FLOWS, and what else the evidence carries)."""
        return self.table("flows")

    @property
    def interfaces(self) -> ibis.Table:
        """Network interfaces from the inventory (load.inventory.TABLE)."""
        return self.table("interfaces")

    @cached_property
    def api_events(self) -> ibis.Table:
        """CloudTrail events (load.cloudtrail.TABLE), each event id once."""
        return engine.newest(self.table("api_events"), "event_id", "event_time")

    @cached_property
    def alerts(self) -> ibis.Table:
        """GuardDuty findings (load.guardduty.TABLE), the newest update of each."""
        return engine.newest(self.table("alerts"), "alert_id", "updated_at")

    @property
    def dns(self) -> ibis.Table:
        """Resolver query log records (load.dns.TABLE)."""
        return self.table("dns")

    @property
    def indicators(self) -> ibis.Table:
        """Indicators of every list (load.indicators.TABLE)."""
        return self.table("indicators")

    @property
    def quarantine(self) -> ibis.Table:
        """What could not be read, with file, line and reason (load.base.QUARANTINE)."""
        return self.table("quarantine")

    @cached_property
    def connections(self) -> ibis.Table:
        """Who talked to whom, counted once (connections.TABLE)."""
        return engine.load(self._connection, self._derived / "connections.parquet")

    @cached_property
    def connection_summaries(self) -> ibis.Table:
        """Connections summed up by initiator, responder, port and protocol (connections.PAIRS)."""
        return engine.load(self._connection, self._derived / "connection_summaries.parquet")

    @cached_property
    def indicator_matches(self) -> ibis.Table:
        """Which indicators cover which address seen (enrich.indicators.MATCHES)."""
        return self._covered(self.indicators.filter(self.indicators.kind != ALLOW))

    @cached_property
    def allow_list_matches(self) -> ibis.Table:
        """Which allow lists cover which address seen, inside ones too (indicators.MATCHES)."""
        return self._covered(self.indicators.filter(self.indicators.kind == ALLOW), internal=True)

    @cached_property
    def ignored(self) -> ibis.Table:
        """Indicators that cover private addresses seen, and flag none (indicators.IGNORED)."""
        rows = indicators.ignored(self.connection_summaries, self.indicators)
        return engine.hold(self._connection, rows)

    def _covered(self, listed: ibis.Table, *, internal: bool = False) -> ibis.Table:
        rows = indicators.match(
            self.connection_summaries, listed, self.dns, self.connections, internal=internal
        )
        return engine.hold(self._connection, rows)

    @cached_property
    def address_assignments(self) -> ibis.Table:
        """Which interface and instance held which address when (enrich.interfaces.TABLE)."""
        seen = engine.load(self._connection, self._derived / "sightings.parquet")
        said = interface_events.said(self.api_events) if self.has("api_events") else []
        rows = assignments.holders(self.interfaces, self.table("instances"), said, seen)
        return engine.hold(self._connection, rows)

    @cached_property
    def addresses(self) -> ibis.Table:
        """The address book: what each was when (enrich.addresses.TABLE, enrich.outside.TABLE).

        One row an address; one for each holder of an address that changed hands.
        """
        rows = inventory.book(
            self.connection_summaries, self.address_assignments, self.indicator_matches
        ).to_pyarrow()
        rows = rows.cast(inventory.TABLE.arrow)
        return engine.hold(self._connection, self._with_outside(rows))

    def address_book(self, tags: Sequence[str] = ()) -> pd.DataFrame:
        """The address book as a frame, with a column for each of these tags, ``("env", "owner")``.

        Columns: those of ``addresses``, then the tags' (see addresses.with_tags); ordered by
        address and time. Tags are text that anyone may have written.
        """
        book = inventory.with_tags(self.addresses, tags)
        order = [book.address, book.valid_from.asc(nulls_first=True), book.interface_id]
        return to_frame(book.order_by(order).to_pyarrow())

    @cached_property
    def fields(self) -> set[str]:
        """The flow log fields that some evidence of the case carries."""
        return {name for entry in self.log.evidence for name in entry["fields"]}

    @cached_property
    def span(self) -> tuple[pd.Timestamp | None, pd.Timestamp | None]:
        """First and last moment of the flow records (UTC), or two Nones."""
        flows = self.flows
        ends = flows.aggregate(first=flows["start"].min(), last=flows["end"].max()).to_pandas()
        first, last = ends["first"].iloc[0], ends["last"].iloc[0]
        return (None, None) if pd.isna(first) else (first, last)

    # ---- answers ------------------------------------------------------------------------

    def evidence_for(self, finding: pd.Series | dict[str, Any]) -> pd.DataFrame:
        """The flow records behind a finding, each with its file and line.

        Columns: those of ``flows`` and ``file``; ordered by start, source, line. Raises InputError
        when ``finding`` is none.
        """
        return behind(self.flows, self.evidence, finding)

    def connections_of(self, subject: str, peer: str | None = None) -> pd.DataFrame:
        """The connections of an address, with one peer or all, by time (connections.TABLE)."""
        c = self.connections
        keep = (c.initiator == subject) | (c.responder == subject)
        if peer is not None:
            keep &= (c.initiator == peer) | (c.responder == peer)
        kept = c.filter(keep).order_by(
            "first_seen", "initiator", "initiator_port", "responder", "service_port", "protocol"
        )
        return to_frame(kept.to_pyarrow())

    def stream(self, table: ibis.Table) -> pa.RecordBatchReader:
        """The rows of one of the case's tables, or of what was made of it, batch by batch."""
        return engine.stream(self._connection, table)

    def kept(self, table: ibis.Table) -> AbstractContextManager[ibis.Table]:
        """What was made of the case's tables, worked out once for the questions in a ``with``."""
        return engine.kept(self._connection, table)

    def info(self) -> pd.DataFrame:
        """The case at a glance: a row per kind of evidence.

        Columns: kind, files, bytes, records, quarantined, first_seen, last_seen (UTC).
        """
        found = self.evidence.groupby("kind", as_index=False).agg(
            files=("evidence_id", "size"),
            bytes=("size", "sum"),
            records=("records", "sum"),
            quarantined=("quarantined", "sum"),
            first_seen=("first_seen", "min"),
            last_seen=("last_seen", "max"),
        )
        return found.sort_values("kind", ignore_index=True)

    # ---- inside -------------------------------------------------------------------------

    @cached_property
    def _tables(self) -> dict[str, ibis.Table]:
        return {}

    def _with_outside(self, book: pa.Table) -> pa.Table:
        """The address book with what is known of each address without an inventory."""
        return external.add(
            book,
            ranges=self.table("geography"),
            clouds=self.table("cloud_ranges"),
            dns=self.dns,
            flows=self.flows if self.fields & external.LOGGED else None,
            when=self.span[1],
        )

    def _forget(self) -> None:
        """Drop what was worked out from the tables as they were before a load."""
        cached = [n for n, v in vars(type(self)).items() if isinstance(v, cached_property)]
        for name in cached:
            self.__dict__.pop(name, None)

    @cached_property
    def _derived(self) -> Path:
        """The folder with what is worked out once and kept (see ``derived``)."""
        try:
            return cache.made(self.path, self.log, self.progress)
        except OSError:  # a case on a read-only disk: kept for as long as this object lives
            elsewhere = Path(tempfile.mkdtemp(prefix="flowbench-"))
            weakref.finalize(self, shutil.rmtree, elsewhere, ignore_errors=True)
            return cache.made_elsewhere(self.path, self.log, self.progress, elsewhere)


def _about(path: Path) -> dict[str, Any]:
    try:
        about = json.loads((path / "case.json").read_text(encoding="utf-8"))
        name, version = about["name"], about["format"]
    except FileNotFoundError:
        raise CaseError(f"{path} is no case: make one with `flowbench new {path}`") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CaseError(f"{path}/case.json cannot be read: {error}") from error
    if version != _FORMAT:
        raise CaseError(f"{path} was made by another flowbench (format {version}): use that one")
    return {"name": name}
