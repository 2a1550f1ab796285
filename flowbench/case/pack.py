"""A case as one verified archive: a zip file whose manifest has the SHA-256 of each member.

Any zip program opens it. The same case gives the same bytes. What can be computed again (the cache)
is left out; the evidence is in it on request. ``unpack`` writes nothing outside its folder, and
nothing at all unless every member is as the manifest has it.
"""

from __future__ import annotations

import hashlib
import json
import lzma
import os
import re
import shutil
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from flowbench.case import manifest, reports
from flowbench.case.custody import SET_ASIDE, CustodyLog
from flowbench.errors import CaseError, InputError
from flowbench.io import atomic
from flowbench.text import format_bytes

MANIFEST = "manifest.json"
README = "README.txt"
FORMAT = "flowbench pack"
VERSION = 1

_FOLDERS = ("tables", "findings", "seals", SET_ASIDE, "evidence")
_FILES = (manifest.FILE, "custody.jsonl", "custody.head")
_STORED = (".parquet", ".gz", ".zst", ".bz2", ".xz", ".zip", ".sig", ".tsr")  # no smaller
_MAX_MANIFEST = 256 << 20  # bytes
_MAX_README = 1 << 20
_MAX_NAME = 500  # characters
_CHUNK = 1 << 20
_NOT_A_PACK = (  # what zipfile and json raise about a damaged archive
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError),
    *(NotImplementedError, RuntimeError, ValueError),
)
_DATE = (1980, 1, 1, 0, 0, 0)  # of every member: the archive does not depend on when it is made
_TEXT = """This is a flowbench case. To open it:

    flowbench unpack THIS.zip FOLDER
    flowbench verify FOLDER

manifest.json has the SHA-256 of each file, this one's too. custody.jsonl is the custody log: each
entry has the digest of the one before. {evidence}
"""


class _Member(NamedTuple):
    """A file of the archive: its name there, where it is, its SHA-256 and size."""

    name: str
    path: Path
    sha256: str
    size: int


def pack_case(
    case: Path, log: CustodyLog, target: Path, *, with_evidence: bool = False, note: str = ""
) -> Path:
    """Write a case as one archive.

    Args:
        case: The folder of the case.
        log: Its custody log.
        target: The zip file to write.
        with_evidence: Whether the evidence files are in it, wherever they lie.
        note: A paragraph for the archive's README.

    Raises:
        CaseError: A file of the case is not as the log has it; it is not packed.
        InputError: An evidence file is not where it was loaded from, or the target cannot be
            written.
    """
    log.refresh()
    if problems := log.find_changes():
        raise CaseError(f"the custody log was changed ({problems[0]}): the case is not packed")
    evidence = "The evidence is in the folder evidence." if with_evidence else ""
    text = _TEXT.format(evidence=evidence or "The evidence is not in it.") + note
    members = sorted({m.name: m for m in _collect(case, log, with_evidence)}.values())
    files = [{"file": m.name, "sha256": m.sha256, "bytes": m.size} for m in members]
    content = {
        "format": FORMAT,
        "version": VERSION,
        "case": manifest.read_name(case),
        "head": log.head,
        "with_evidence": with_evidence,
        "readme_sha256": hashlib.sha256(_encode(text)).hexdigest(),
        "files": files,
    }
    try:
        with (
            atomic.write_aside(target, durable=True) as aside,
            zipfile.ZipFile(aside, "w", allowZip64=True) as archive,
        ):
            aside.chmod(0o600)  # as private as the case
            _write_text(archive, MANIFEST, json.dumps(content, indent=1) + "\n")
            _write_text(archive, README, text)
            for member in members:
                _write_file(archive, member)
    except OSError as error:
        raise InputError(f"cannot write {target}: {error.strerror or error}") from error
    return target


def _collect(case: Path, log: CustodyLog, with_evidence: bool) -> Iterator[_Member]:
    """Yield the files of a case, each checked against the log where that has its hash."""
    for name in _FILES:
        if (case / name).is_file():
            yield _hashed(case, name)
    for part in log.parts:
        yield _recorded(case, f"tables/{part['file']}", part["sha256"])
    for entry in log.entries:
        for run in entry["details"].get("runs") or ():
            yield _recorded(case, f"findings/{Path(run['file']).name}", run["sha256"])
    for folder in ("seals", SET_ASIDE):
        for path in sorted((case / folder).glob("*")):
            if path.is_file() and not path.name.endswith(atomic.SUFFIX):
                yield _hashed(case, f"{folder}/{path.name}")
    for name in reports.recorded_reports(log):
        for kept in (name, name + reports.SUFFIX):
            if _is_safe(kept) and (case / kept).is_file():
                yield _hashed(case, kept)
    if with_evidence:
        yield from _evidence(case, log)


def _evidence(case: Path, log: CustodyLog) -> Iterator[_Member]:
    """Yield the evidence files; a member of an archive is in that archive."""
    for row in log.evidence:
        if row.get("archive") is not None:
            continue
        path = case / row["path"]
        name = re.sub(r"[^\w.-]", "_", Path(row["file"]).name)[-100:] or "file"
        if not path.is_file():
            raise InputError(
                f"{row['file']} is no longer at {path}: put it back, or pack without evidence"
            )
        yield _recorded(case, row["path"], row["sha256"], f"evidence/{row['evidence_id']}-{name}")


def _hashed(case: Path, name: str, packed: str | None = None) -> _Member:
    path = case / name
    try:
        return _Member(packed or name, path, atomic.sha256_file(path), path.stat().st_size)
    except OSError as error:
        raise CaseError(f"{path} cannot be read: {error.strerror}: it is not packed") from error


def _recorded(case: Path, name: str, sha256: str, packed: str | None = None) -> _Member:
    member = _hashed(case, name, packed)
    if member.sha256 != sha256:
        raise CaseError(
            f"{name} is not as the custody log has it: `flowbench verify {case}` names every"
            " change; the case is not packed"
        )
    return member


def _info(name: str, *, stored: bool = False) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, _DATE)
    info.compress_type = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
    info.external_attr = (stat.S_IFREG | 0o600) << 16
    info.create_system = 3  # Unix, on every system
    return info


def _write_text(archive: zipfile.ZipFile, name: str, text: str) -> None:
    archive.writestr(_info(name), _encode(text))


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "backslashreplace")


def _write_file(archive: zipfile.ZipFile, member: _Member) -> None:
    info = _info(member.name, stored=member.name.endswith(_STORED))
    sha256 = hashlib.sha256()
    with (
        atomic.open_regular(member.path) as source,
        archive.open(info, "w", force_zip64=True) as sink,
    ):
        while chunk := source.read(_CHUNK):
            sha256.update(chunk)
            sink.write(chunk)
    if sha256.hexdigest() != member.sha256:
        raise CaseError(f"{member.path} changed while it was packed: pack the case again")


def unpack_case(archive: Path, folder: Path) -> Path:
    """Unpack a case into a folder that does not exist yet, or is empty.

    Args:
        archive: What ``pack_case`` wrote.
        folder: The folder of the case; its mode is 0700.

    Raises:
        InputError: The file is no such archive, or a member is not as its manifest has it; nothing
            is written then.
        CaseError: The folder cannot be written, is in use, or there is not enough room.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise CaseError(f"{folder} exists and is not an empty folder: choose another one")
    try:
        with zipfile.ZipFile(archive) as source:
            files = _read_manifest(archive, source)
            folder.parent.mkdir(parents=True, exist_ok=True)
            _require_space(folder.parent, sum(file["bytes"] for file in files.values()))
            with atomic.write_aside(folder) as aside:
                aside.mkdir(mode=0o700)
                for name, file in files.items():
                    _unpack_member(archive, source, name, file, aside)
    except _NOT_A_PACK as error:
        raise InputError(f"{archive} is no archive of `flowbench pack`: {error}") from error
    except OSError as error:
        raise CaseError(
            f"cannot unpack {archive} to {folder}: {error.strerror or error}"
        ) from error
    return folder


def _require_space(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise CaseError(
            f"not enough disk space in {folder}: the case takes {format_bytes(needed)},"
            f" {format_bytes(free)} are free"
        )


def _read_manifest(archive: Path, source: zipfile.ZipFile) -> dict[str, Mapping[str, Any]]:
    """Read the manifest, and check that the archive has its files and no other."""
    names = [info.filename for info in source.infolist()]
    if MANIFEST not in names:
        raise InputError(f"{archive} is no archive of `flowbench pack`: it has no {MANIFEST}")
    with source.open(MANIFEST) as file:
        content = json.loads(file.read(_MAX_MANIFEST))
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise InputError(f"{archive} is no archive of `flowbench pack`")
    if content.get("version") != VERSION:
        raise InputError(f"{archive} is of another version: unpack it with the flowbench of then")
    listed = content.get("files")
    files: dict[str, Mapping[str, Any]] = {}
    for file in listed if isinstance(listed, list) else ():
        if not isinstance(file, dict) or not _is_safe(name := file.get("file")):
            raise InputError(f"{archive} has a file with the name {_shown(file)}: it is refused")
        is_size = type(file.get("bytes")) is int and file["bytes"] >= 0
        if not is_size or not re.fullmatch(r"[0-9a-f]{64}", str(file.get("sha256"))):
            raise InputError(f"{archive}: its manifest has no size or SHA-256 of {name}")
        files[str(name)] = file
    folded = [name.casefold() for name in names]
    if len(set(folded)) != len(folded):
        raise InputError(f"{archive} has two members of one name: it is refused")
    if set(names) != {*files, MANIFEST, README} or not set(_FILES[:2]) <= set(files):
        raise InputError(f"{archive} does not have the files that its manifest lists")
    with source.open(README) as file:
        readme = hashlib.sha256(file.read(_MAX_README)).hexdigest()
    if content.get("readme_sha256", readme) != readme:
        raise InputError(f"{archive}: {README} is not as its manifest has it; nothing was unpacked")
    kinds = {stat.S_IFMT(info.external_attr >> 16) for info in source.infolist()}
    if kinds - {0, stat.S_IFREG}:
        raise InputError(f"{archive} has a link or a device: it is refused")
    return files


def _is_safe(name: object) -> bool:
    """Whether a name is one of a case's files, whatever system it is written on."""
    if not isinstance(name, str) or not 0 < len(name) <= _MAX_NAME:
        return False
    parts = name.split("/")
    is_plain = all(re.fullmatch(r"[\w.%+=@-][\w .%+=@-]*", part) for part in parts)
    is_own = len(parts) == 1 or parts[0] in _FOLDERS  # in the folder itself: reports and exports
    return is_plain and is_own and not any(part.strip(". ") == "" for part in parts)


def _shown(file: object) -> str:
    return repr(file.get("file") if isinstance(file, dict) else file)[:100]


def _unpack_member(
    archive: Path, source: zipfile.ZipFile, name: str, file: Mapping[str, Any], folder: Path
) -> None:
    path, left, sha256 = folder / name, file["bytes"], hashlib.sha256()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    with source.open(name) as member, os.fdopen(os.open(path, flags, 0o600), "wb") as sink:
        while left >= 0 and (chunk := member.read(min(_CHUNK, left + 1))):
            left -= len(chunk)
            sha256.update(chunk)
            sink.write(chunk)
    if left or sha256.hexdigest() != file["sha256"]:
        raise InputError(f"{archive}: {name} is not as its manifest has it; nothing was unpacked")
