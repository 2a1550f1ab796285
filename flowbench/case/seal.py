"""Seals: the head of the custody log in a small text file, signed or time-stamped.

Who has write access to the whole case can write a new chain. A signed anchor, or a copy of it that
they cannot change, shows whether the chain is still the one that was sealed. Signatures
and time stamps are made and checked by the user's own programs (see ``seal_programs``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from flowbench.case import seal_programs
from flowbench.case.check import (
    ALTERED,
    INTACT,
    MISSING,
    NOT_AVAILABLE,
    NOTE,
    Check,
    compare_file,
    make_check,
)
from flowbench.case.custody import DERIVED_ACTIONS, CustodyLog
from flowbench.case.custody_entry import JsonObject
from flowbench.case.seal_programs import NO_TRUST, Trust
from flowbench.errors import CaseError, InputError
from flowbench.io import atomic
from flowbench.text import escape_undecodable, list_some

FOLDER = "seals"
ACTION = "seal"

_TITLE = "flowbench custody anchor, version 1"
_ANCHOR = re.compile(
    rf"{_TITLE}\ncase: (?P<case>[^\n]*)\nentry: (?P<seq>[1-9][0-9]{{0,8}})\n"
    r"head: (?P<head>[0-9a-f]{64})\nsealed: (?P<time>[^\n]*)\n"
)
_MAX_ANCHOR = 10_000  # bytes

Signer = Callable[[Path], Path]  # signs a file, and returns the path of the signature beside it

__all__ = ["ACTION", "FOLDER", "NO_TRUST", "Signer", "Trust", "check_seals", "seal_case"]


def seal_case(
    case: Path,
    log: CustodyLog,
    name: str,
    signers: Sequence[Signer] = (),
    folder: Path | None = None,
) -> list[Path]:
    """Write an anchor of the custody log's last entry, sign it, and log both.

    Args:
        case: The folder of the case.
        log: Its custody log.
        name: The name of the case.
        signers: What signs or time-stamps the anchor (see ``seal_programs``).
        folder: Where to write the anchor; ``seals`` in the case by default.

    Returns:
        The anchor, and a signature or time stamp for each signer.

    Raises:
        CaseError: The log was changed, or the anchor cannot be written.
        InputError: A signer cannot sign.
    """
    log.refresh()
    if problems := log.find_changes():
        raise CaseError(f"the custody log was changed ({problems[0]}): it is not sealed")
    folder = (folder or case / FOLDER).absolute()  # no path may look like an option
    entry = log.entries[-1]
    anchor = folder / f"anchor-{entry['seq']}-{log.head[:8]}.txt"
    lines = [
        _TITLE,
        f"case: {escape_undecodable(name).translate(_LINE_ENDS)}",
        f"entry: {entry['seq']}",
        f"head: {log.head}",
        f"sealed: {datetime.now(UTC).isoformat(timespec='seconds')}",
    ]
    left = [path for path in (anchor, *seal_programs.find_signatures(anchor)) if path.exists()]
    if left:
        raise InputError(
            f"{left[0]} exists and the custody log does not name it: a seal was stopped, or the"
            " file was added. Move it away and seal again"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _removed_unless_logged(log, anchor):
            atomic.write_bytes(anchor, "".join(f"{x}\n" for x in lines).encode(), durable=True)
            files = [anchor, *(sign(anchor) for sign in signers)]
            records = [_record(case, file) for file in files]
            log.append(ACTION, sealed=log.head, entry=entry["seq"], files=records)
    except OSError as error:
        raise CaseError(f"cannot write {anchor}: {error.strerror}") from error
    return files


@contextmanager
def _removed_unless_logged(log: CustodyLog, anchor: Path) -> Iterator[None]:
    """Remove an anchor and its signatures if the ``with`` fails or is stopped before its entry."""
    entries = len(log.entries)
    try:
        yield
    except BaseException:
        if not any(entry["action"] == ACTION for entry in log.entries[entries:]):
            for file in (anchor, *seal_programs.find_signatures(anchor)):
                file.unlink(missing_ok=True)
        raise


_LINE_ENDS = {ord(character): "?" for character in "\r\n"}


def _record(case: Path, file: Path) -> JsonObject:
    path, data = file.resolve(), atomic.read_bytes(file)
    inside = path.is_relative_to(case.resolve())
    name = path.relative_to(case.resolve()).as_posix() if inside else str(path)
    return {"file": name, "sha256": atomic.sha256_bytes(data), "bytes": len(data)}


def check_seals(
    case: Path, log: CustodyLog, anchors: Sequence[Path] = (), trust: Trust = NO_TRUST
) -> Iterator[Check]:
    """Check the anchors of a case: their digest is in the chain, their signatures are valid.

    Args:
        case: The folder of the case.
        log: Its custody log.
        anchors: Anchors kept elsewhere, with their signatures beside them.
        trust: Whose signatures and time stamps to accept.

    Raises:
        InputError: One of ``anchors`` does not exist.
    """
    if missing := [str(anchor) for anchor in anchors if not anchor.is_file()]:
        raise InputError(f"{missing[0]} is not a file: give an anchor that `flowbench seal` wrote")
    for entry in log.entries_of(ACTION):
        for record in entry["details"].get("files") or ():
            result, detail = compare_file(case / record["file"], record["sha256"])
            if result == MISSING:
                kept = "check a copy of it with --anchor"
                yield make_check("seal", record["file"], NOT_AVAILABLE, f"not here: {kept}")
            elif result != INTACT:
                yield make_check("seal", record["file"], result, detail)
    found = [*sorted((case / FOLDER).glob("anchor-*.txt")), *anchors]
    for anchor in found:
        yield from _check_anchor(case, log, anchor, trust)
    yield from _check_newest(log, found)
    signatures = [path for anchor in found for path in seal_programs.find_signatures(anchor)]
    for option, wanted in seal_programs.wanted_signatures(trust).items():
        if not any(path.suffix == wanted for path in signatures):
            detail = f"no anchor has the signature that it asks for ({wanted})"
            yield make_check("seal", option, MISSING, detail)


def _check_newest(log: CustodyLog, anchors: Sequence[Path]) -> Iterator[Check]:
    """Say which entries no anchor covers: who can write the log can have cut and added some."""
    sealed = [int(found["seq"]) for anchor in anchors if (found := _read_anchor(anchor))]
    if not sealed:
        return
    detail = (
        f"the newest anchor covers the entries up to {max(sealed)}. It does not show whether later"
        " entries were removed: check the head that was noted last with --head"
    )
    later = log.entries[max(sealed) :]
    changes = [entry for entry in later if entry["action"] not in DERIVED_ACTIONS]
    if changes:
        first, last = max(sealed) + 1, len(log.entries)
        actions = list_some(sorted({entry["action"] for entry in changes}))
        detail += f". No anchor covers the entries {first} to {last}, among them {actions}"
    yield make_check("seal", "newest anchor", NOTE, detail)


def _check_anchor(case: Path, log: CustodyLog, anchor: Path, trust: Trust) -> Iterator[Check]:
    name = anchor.relative_to(case).as_posix() if anchor.is_relative_to(case) else str(anchor)
    anchor = anchor.absolute()
    found = _read_anchor(anchor)
    if found is None:
        yield make_check("seal", name, ALTERED, "it is not an anchor that `flowbench seal` wrote")
        return
    seq, head = int(found["seq"]), found["head"]
    if seq > len(log.entries) or log.entries[seq - 1]["digest"] != head:
        detail = f"the custody log has no entry {seq} with the digest {head} that was sealed"
        yield make_check("seal", name, ALTERED, detail)
    else:
        signatures = seal_programs.find_signatures(anchor)
        signed = "" if signatures else "; not signed"
        time = found["time"][:19].replace("T", " ")
        detail = f"sealed {time} UTC at entry {seq} of now {len(log.entries)}{signed}"
        yield make_check("seal", name, INTACT, detail)
    for signature in seal_programs.find_signatures(anchor):
        result, detail = seal_programs.check_signature(anchor, signature, trust)
        yield make_check("seal", f"{name}{signature.suffix}", result, detail)


def _read_anchor(path: Path) -> re.Match[str] | None:
    try:
        with atomic.open_regular(path) as file:
            return _ANCHOR.fullmatch(file.read(_MAX_ANCHOR).decode())
    except (OSError, ValueError):
        return None
