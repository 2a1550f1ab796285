"""One file of evidence: its identity, where its bytes lie, and what was found in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any

from flowbench.errors import FlowbenchError
from flowbench.io import archive as archives
from flowbench.io.stream import Bytes, InMemory, OnDisk, digest
from flowbench.text import escape_undecodable

UNKNOWN = "unknown"
EVIDENCE_ID_DIGITS = 16  # of the SHA-256: enough that two files of one case never share them


@dataclass
class Evidence:
    """What the manifest keeps of one file, or of one member of an archive."""

    evidence_id: str
    sha256: str
    size: int
    file: str
    path: str
    archive: str | None = None  # the source of the archive at ``path``, for a member
    member: str | None = None  # its name in there
    kind: str = UNKNOWN
    records: int = 0
    quarantined: int = 0
    nodata: int = 0
    skipdata: int = 0
    first_seen: str | None = None
    last_seen: str | None = None
    fields: list[str] = field(default_factory=list)
    # Known while it is read only:
    within: archives.Member | None = field(default=None, repr=False)  # where a member's bytes lie
    raw: bytes | None = field(default=None, repr=False)  # of a small file, while it is sorted
    container: archives.Container | None = field(default=None, repr=False)  # of an archive

    @classmethod
    def of(
        cls, path: Path, name: str, stop: Event | None = None, *, keep: bool = False
    ) -> Evidence:
        """The identity of a file, before anything in it is looked at; ``stop`` as of ``digest``.

        ``keep`` the bytes of a small one in ``raw``: to open a file again takes longer.
        """
        raw = path.read_bytes() if keep else None
        sha256, size = digest(path if raw is None else InMemory(raw), stop)
        where = str(path.absolute())
        return cls(
            sha256[:EVIDENCE_ID_DIGITS], sha256, size, escape_undecodable(name), where, raw=raw
        )

    def bytes(self, folder: Path | None = None) -> Bytes:
        """Its bytes as they lie there; what must be unpacked to be read goes into ``folder``."""
        if self.raw is not None:
            return InMemory(self.raw)
        return self.within or OnDisk(Path(self.path), self.size, folder=folder)

    def inside(self, member: archives.Member) -> Evidence:
        """The identity of a member of this archive: of its bytes as they were put in."""
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
            within=member,
        )

    @classmethod
    def recorded(cls, entry: dict[str, Any]) -> Evidence:
        """As the custody log keeps it."""
        return cls(**{name: entry[name] for name in cls.columns() if name in entry})

    @classmethod
    def columns(cls) -> list[str]:
        """What the manifest keeps, by name."""
        known_while_read = ("within", "raw", "container")
        return [name for name in cls.__dataclass_fields__ if name not in known_while_read]

    def entry(self) -> dict[str, Any]:
        """As the custody log keeps it."""
        return {name: getattr(self, name) for name in self.columns()}


class UnreadableError(FlowbenchError):
    """A file whose bytes changed under the reader, or could not be read to the end."""

    def __init__(self, evidence: Evidence, reason: str) -> None:
        super().__init__(f"{evidence.file} {reason}")
        self.evidence = evidence
        self.reason = reason
