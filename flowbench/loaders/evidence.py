"""One evidence file: its identity, where its bytes are, and what was found in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any

from flowbench.errors import FlowbenchError
from flowbench.io.byte_source import ByteSource, FileBytes, MemoryBytes, digest
from flowbench.io.container import Container, Member
from flowbench.text import escape_undecodable

UNKNOWN = "unknown"
EVIDENCE_ID_DIGITS = 16  # of the SHA-256: enough that no two files of a case share them

_NOT_RECORDED = ("archive_member", "content", "container")


@dataclass
class Evidence:
    """What the manifest records of one file, or of one member of an archive.

    Attributes:
        evidence_id: The first digits of the SHA-256.
        sha256: SHA-256 of the raw bytes, in hex digits.
        size: Size of the raw bytes.
        file: The name to show.
        path: Where the file is; for a member, where its archive is.
        archive: For a member: the evidence id of the outermost archive.
        member: For a member: its name in there.
        kind: The kind of evidence.
        records: Records read from it.
        quarantined: Entries in quarantine.
        nodata: Flow log records of status NODATA.
        skipdata: Flow log records of status SKIPDATA.
        first_seen: Time of the earliest event, as ISO 8601.
        last_seen: Time of the latest event, as ISO 8601.
        fields: The fields of its flow log records.
        archive_member: For a member, while it is read: its bytes.
        content: The bytes of a small file, until its kind is known.
        container: The open archive, if the file is one.
    """

    evidence_id: str
    sha256: str
    size: int
    file: str
    path: str
    archive: str | None = None
    member: str | None = None
    kind: str = UNKNOWN
    records: int = 0
    quarantined: int = 0
    nodata: int = 0
    skipdata: int = 0
    first_seen: str | None = None
    last_seen: str | None = None
    fields: list[str] = field(default_factory=list)
    archive_member: Member | None = field(default=None, repr=False)
    content: bytes | None = field(default=None, repr=False)
    container: Container | None = field(default=None, repr=False)

    @classmethod
    def of(
        cls, path: Path, name: str, stop: Event | None = None, *, keep: bool = False
    ) -> Evidence:
        """Identify a file by its bytes.

        Args:
            path: The file.
            name: The name to show.
            stop: Ends the hashing early when it is set; see ``digest``.
            keep: Read the file as a whole and keep its bytes in ``content``: for small files, which
                take longer to open again.

        Raises:
            OSError: It cannot be read.
            InterruptedError: ``stop`` was set.
        """
        content = path.read_bytes() if keep else None
        sha256, size = digest(path if content is None else MemoryBytes(content), stop)
        return cls(
            sha256[:EVIDENCE_ID_DIGITS],
            sha256,
            size,
            escape_undecodable(name),
            str(path.absolute()),
            content=content,
        )

    def of_member(self, member: Member) -> Evidence:
        """Identify a member of this archive by its bytes as they were put in."""
        sha256, size = digest(member)
        name = escape_undecodable(member.name)
        return Evidence(
            sha256[:EVIDENCE_ID_DIGITS],
            sha256,
            size,
            f"{self.file}/{name}",
            self.path,
            self.archive or self.evidence_id,
            name if self.member is None else f"{self.member}/{name}",
            archive_member=member,
        )

    def byte_source(self, temporary_folder: Path | None = None) -> ByteSource:
        """Return the raw bytes; what must be decompressed first goes to ``temporary_folder``."""
        if self.content is not None:
            return MemoryBytes(self.content)
        return self.archive_member or FileBytes(
            Path(self.path), self.size, temporary_folder=temporary_folder
        )

    @classmethod
    def columns(cls) -> list[str]:
        """Return the names of what the manifest records."""
        return [name for name in cls.__dataclass_fields__ if name not in _NOT_RECORDED]

    @classmethod
    def from_entry(cls, entry: Mapping[str, Any]) -> Evidence:
        """Restore the evidence from its entry in the custody log."""
        return cls(**{name: entry[name] for name in cls.columns() if name in entry})

    def to_entry(self) -> dict[str, Any]:
        """Return the evidence as an entry of the custody log."""
        return {name: getattr(self, name) for name in self.columns()}


class UnreadableError(FlowbenchError):
    """A file's bytes changed while they were read, or could not be read to the end."""

    def __init__(self, evidence: Evidence, reason: str) -> None:
        super().__init__(f"{evidence.file} {reason}")
        self.evidence = evidence
        self.reason = reason
