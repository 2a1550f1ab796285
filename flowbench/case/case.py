"""A case: one folder with the tables read from the evidence, and the log of what was done.

    case/
      case.json       name and format version (see manifest)
      custody.jsonl   the custody log: every load with its files and their hashes (see custody)
      custody.head    the number and digest of its last entry
      tables/         Parquet parts, a folder for each table (see parts)
      findings/       the findings of each run of the detectors (see detect.history)
      cache/          what can be computed again: it may be deleted at any time (see cache)
      evidence/       copies of the evidence, with ``copy=True`` only, and what was fetched
      seals/          anchors of the custody log, with signatures and time stamps (see seal)
      set-aside/      files that belong to no entry of the log (see set_aside)
      graph-positions.json  where panels drew nodes: no evidence (see positions)
      spill-*/        temporary files of running queries

A copy of the folder is a copy of the case. Evidence is read, never written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

import ibis
import pandas as pd

from flowbench.case import cache, ingest, manifest, overview, provenance, query, verify
from flowbench.case.cube_cache import CaseCube
from flowbench.case.custody import CustodyLog
from flowbench.case.custody_entry import Entry
from flowbench.case.notes import CaseNotes
from flowbench.case.policy import check_policy
from flowbench.connections.zones import hosts_of
from flowbench.enrich import inventory
from flowbench.errors import InputError
from flowbench.io import atomic
from flowbench.loaders.flowlogs import formats as record_formats
from flowbench.loaders.intel.list_columns import column_map
from flowbench.schema import to_frame
from flowbench.text import canonical_address, format_count, is_address, list_some, split_zone
from flowbench.version import __version__

_RENAMED = ("dns", "api_events")  # tables with other names of hosts or principals than recorded


class Case(CaseCube, CaseNotes):
    """One investigation. Make it with ``Case.create`` or ``Case.open``.

    Attributes:
        path: The folder.
        name: The name given to it.
        log: The custody log.
        progress: Called with (steps done, of steps, next step) during long computations.
    """

    def __init__(self, path: Path) -> None:
        self.name = manifest.read_name(path)
        super().__init__(path, CustodyLog(path / "custody.jsonl", f"flowbench {__version__}"))
        overview.show_tables_in_notebook()

    @classmethod
    def create(cls, path: str | Path, name: str | None = None) -> Self:
        """Make a new, empty case in a folder that does not exist yet, or is empty.

        Raises CaseError when there is something in the way.
        """
        path = Path(path)
        sha256 = manifest.create_folder(path, name)
        case = cls(path)
        case.log.append("create", name=case.name, manifest=sha256)
        return case

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """Open a case. Raises CaseError when ``path`` is none, or is of another format."""
        return cls(Path(path))

    def __repr__(self) -> str:
        return f"<Case {self.name!r}, {format_count(len(self.log.evidence), 'evidence file')}>"

    def _repr_html_(self) -> str:
        return overview.case_to_html(self)

    # ---- evidence and custody -----------------------------------------------------------

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

        A file whose bytes the case has already is left out, whatever its name; but if a table made
        from it is damaged, its load is read again. Files in zip and tar archives are evidence of
        their own. Connections are computed when they are first asked for, or by
        ``compute_connections``.

        Args:
            paths: Files and folders.
            kind: Forces a kind of text ('flow-logs', 'indicators') that content does not show.
            formats: Format strings (``${version} ${srcaddr} …``) of flow logs without a header;
                those in a recorded describe-flow-logs answer need not be given.
            columns: Names the columns of CSV indicator lists: ``indicator=IP,kind=Threat``.
            copy: Copy the files into the case first.
            progress: Called with (bytes done, of bytes, file).

        Returns:
            A row for each file: file, kind, records, quarantined, outcome ('loaded', 'already
            there', 'rebuilt', 'not readable').

        Raises:
            InputError: A path does not exist; a format or column map is not valid.
            CaseError: The case cannot be written, or another process is loading into it.
        """
        options = ingest.Options(
            kind,
            tuple(record_formats.parse_format_string(text) for text in formats),
            column_map(columns),
            copy,
            progress or (lambda *_: None),
        )
        try:
            return ingest.ingest(self.path, self.log, paths, options)
        finally:
            self._forget_computed()

    @property
    def evidence(self) -> pd.DataFrame:
        """The manifest: a row for each evidence file, in the order of loading.

        Columns: evidence_id, sha256, size (bytes), file (as given), path, archive (for a member:
        the archive's evidence id), member (its name there), kind, records, quarantined, nodata,
        skipdata, first_seen, last_seen (UTC).
        """
        return overview.evidence_frame(self.log)

    def info(self) -> pd.DataFrame:
        """Return a row for each kind of evidence.

        Columns: kind, files, bytes, records, quarantined, first_seen, last_seen (UTC).
        """
        return overview.summarize_kinds(self.evidence)

    def verify(
        self, *, head: str | None = None, evidence: Sequence[str | Path] = ()
    ) -> pd.DataFrame:
        """Hash everything again and compare it with what was recorded (see verify.verify_case).

        Args:
            head: A head digest that was noted earlier: it must be in the custody log.
            evidence: Folders to search for evidence that is no longer where it was loaded from.

        Returns:
            A row for each file: what, name, ok, result, detail (see check.Check).

        Raises:
            InputError: ``head`` is not a digest, or a folder does not exist.
        """
        self.log.refresh()
        folders = [Path(folder) for folder in evidence]
        return verify.verify_case(self.path, self.log, head=head, evidence=folders)

    @property
    def custody(self) -> list[Entry]:
        """The entries of the custody log, oldest first."""
        return self.log.entries

    def set_policy(self, text: str) -> None:
        """Set the segmentation policy of the case (see segmentation.policy).

        It is appended to the custody log, where earlier ones remain.

        Raises:
            InputError: It is no YAML, or has neither rules nor countries.
        """
        check_policy(text)
        self.log.append("policy", sha256=atomic.sha256_bytes(text.encode()), text=text)

    @property
    def policy(self) -> str | None:
        """The text of the latest segmentation policy, or None."""
        texts = [entry["details"].get("text") for entry in self.log.entries_of("policy")]
        return texts[-1] if texts else None

    def address_inventory(self, tags: Sequence[str] = ()) -> pd.DataFrame:
        """Return the address inventory as a frame, with a column for each of some tags.

        Args:
            tags: Keys of tags: ``("env", "owner")``. Their values are text that anyone may have
                written.

        Returns:
            The columns of ``addresses``, then the tags; ordered by address and time.
        """
        rows = inventory.with_tags(self.addresses, tags)
        order = [rows.address, rows.valid_from.asc(nulls_first=True), rows.interface_id]
        return to_frame(rows.order_by(order).to_pyarrow())

    # ---- queries ------------------------------------------------------------------------

    def sql(self, text: str) -> pd.DataFrame:
        """Run one SELECT statement over the case's tables, and return its rows.

        ``case.sql("SELECT dstport, sum(bytes) FROM flows GROUP BY ALL")``; the dialect is DuckDB's.
        The tables are those of loaders.registry, connections, connection_summaries, addresses,
        address_assignments, indicator_matches, allow_list_matches and principal_addresses. Times
        are UTC.

        Raises:
            InputError: It is not one SELECT statement, or cannot be run. It cannot read files or
                write anything.
        """
        return query.run_sql(text, self._sql_tables(), cache.spill_folder(self.path))

    def evidence_for(
        self, finding: object, *, offset: int = 0, limit: int | None = None
    ) -> pd.DataFrame:
        """Return the records that support a finding, each with its kind, file and line.

        These are flow records, API events or DNS queries, whatever the finding rests on.

        Args:
            finding: A finding, a row of a table of findings, the id of a finding that the case
                keeps, or an EvidenceSelector.
            offset: How many of the first records to leave out.
            limit: The most records to return; None for all.

        Returns:
            The columns of ``flows``, ``api_events`` or ``dns`` (of several where the finding rests
            on several), ``kind`` ('flow-logs', 'cloudtrail', 'dns') and ``file``; each kind ordered
            by time, evidence_id, line and item.

        Raises:
            InputError: ``finding`` is none of these.
        """
        selector = provenance.resolve_selector(self.path, self.log, finding)
        return provenance.select_evidence(
            selector, self._evidence_table, self.evidence, offset=offset, limit=limit
        )

    def count_evidence(self, finding: object) -> int:
        """Return the number of records that support a finding; see ``evidence_for``."""
        selector = provenance.resolve_selector(self.path, self.log, finding)
        return provenance.count_evidence(selector, self._evidence_table)

    def _evidence_table(self, name: str) -> ibis.Table:
        table: ibis.Table = getattr(self, name) if name in _RENAMED else self.table(name)
        return table

    def check_host(self, address: str) -> str:
        """Return an address that one host of the case has at most, in canonical form.

        Raises InputError where several have it: each is named by the address and a zone.
        """
        plain, zone = split_zone(address)
        address = canonical_address(plain) + ("" if zone is None else f"%{zone}")
        if len(hosts := hosts_of(address, self.address_zones)) > 1:
            raise InputError(
                f"{len(hosts)} hosts have the address {address}: give one of {list_some(hosts)}"
            )
        return address

    def connections_of(self, subject: str, peer: str | None = None) -> pd.DataFrame:
        """Return the connections of an address, with one peer or all, by time.

        Raises InputError where one is no address, or several hosts have it: see ``check_host``.
        """
        for address in [subject] if peer is None else [subject, peer]:
            if not is_address(address):
                raise InputError(
                    f"{address!r} is not an address: fb.pivot.resolve(case, …).addresses gives"
                    " those of an instance, an interface, a name or a domain"
                )
        subject, c = self.check_host(subject), self.connections
        selected = (c.initiator == subject) | (c.responder == subject)
        if peer is not None:
            selected &= (c.initiator == peer) | (c.responder == peer)
        ends = ["initiator", "initiator_port", "responder", "service_port", "protocol"]
        return to_frame(c.filter(selected).order_by("first_seen", *ends).to_pyarrow())
