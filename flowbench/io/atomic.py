"""Files that are written whole or not at all, their SHA-256, and locks between processes.

A file is written under another name beside its target (the suffix ``.aside``) and renamed when it
is complete, so that a reader never sees half of it and a kill leaves the old file in place.
"""

from __future__ import annotations

import errno
import getpass
import hashlib
import os
import platform
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from io import BufferedReader
from pathlib import Path

import filelock

from flowbench.errors import CaseError

SUFFIX = ".aside"  # of files and folders that are not complete yet

_LONGEST_OWNER = 200  # characters of a lock file's content that a message may show


def aside_path(path: Path) -> Path:
    """Return the name beside ``path`` under which it is written until it is complete."""
    return path.with_name(path.name + SUFFIX)


@contextmanager
def write_aside(path: Path, *, durable: bool = False) -> Iterator[Path]:
    """Yield a path to write a file or folder to; rename it to ``path`` at the end of the ``with``.

    What an earlier process left under that path is removed first. On any exception nothing is
    renamed, and what was written is removed.

    Args:
        path: The target. Its parent must exist; a file there is replaced, a folder must be empty.
        durable: Flush a file to the disk before it is renamed, so that it survives a power cut.

    Raises:
        OSError: The file system refuses, or ``path`` is a device or a pipe.
    """
    if path.is_char_device() or path.is_block_device() or path.is_fifo() or path.is_socket():
        # A rename would replace it: /dev/null, for whoever may write there.
        raise OSError(errno.EINVAL, "it is a device or a pipe, not a file", str(path))
    aside = aside_path(path)
    _remove(aside)
    try:
        yield aside
        if durable:
            with aside.open("r+b") as file:
                os.fsync(file.fileno())
        aside.replace(path)
    except BaseException:
        with suppress(OSError):
            _remove(aside)
        raise


def write_bytes(path: Path, data: bytes, *, durable: bool = False) -> None:
    """Write a whole file; see ``write_aside`` for the arguments and what is raised."""
    with write_aside(path, durable=durable) as aside:
        aside.write_bytes(data)


class HashedFile:
    """A writable file that is hashed as it is written, and gets its name on ``commit``.

    For writers that take a file object (pyarrow). ``sha256`` has the hash so far, ``size`` the
    bytes so far.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.sha256 = hashlib.sha256()
        self.size = 0
        self._aside = aside_path(path)
        self._file = self._aside.open("wb", buffering=1 << 20)

    @property
    def closed(self) -> bool:
        """Whether nothing can be written any more."""
        return self._file.closed

    def write(self, data: bytes | memoryview) -> int:
        """Write all of ``data`` and return its length in bytes."""
        self.sha256.update(data)
        self.size += len(data)
        return self._file.write(data)

    def tell(self) -> int:
        """Return the bytes written so far."""
        return self.size

    def flush(self) -> None:
        """Do nothing: pyarrow calls this; ``commit`` flushes."""

    def close(self) -> None:
        """Close the file without giving it its name."""
        self._file.close()

    def commit(self) -> None:
        """Flush the file to the disk, close it and rename it to ``path``."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self.close()
        self._aside.replace(self.path)

    def discard(self) -> None:
        """Close and remove the file, also after ``commit``."""
        with suppress(OSError):  # a full disk: the buffer cannot be written
            self.close()
        self._aside.unlink(missing_ok=True)
        self.path.unlink(missing_ok=True)


def link_file(path: Path, target: Path) -> None:
    """Make another link to a file that never changes, or copy it where that is not possible."""
    try:
        os.link(path, target)
    except OSError:
        shutil.copyfile(path, target)


def open_regular(path: Path) -> BufferedReader:
    """Open a regular file to read it, or the one that a link leads to.

    Raises OSError for anything else: a pipe would be waited for, and a device has no end.
    """
    file = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return os.fdopen(file, "rb")


def read_bytes(path: Path) -> bytes:
    """Return the content of a regular file. Raises OSError; see ``open_regular``."""
    with open_regular(path) as file:
        return file.read()


def sha256_bytes(data: bytes) -> str:
    """Return the SHA-256 of bytes in hex digits."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a file in hex digits. Raises OSError when it cannot be read."""
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_intact(path: Path, sha256: str) -> bool:
    """Whether a file is there and has this SHA-256."""
    try:
        return sha256_file(path) == sha256
    except OSError:
        return False


@contextmanager
def lock(
    path: Path,
    busy: str,
    *,
    timeout: float = 0,
    waiting: Callable[[str], None] = lambda _: None,
) -> Iterator[None]:
    """Hold a lock between processes for the length of the ``with``.

    The lock is the operating system's: it ends with the process, also when that is killed. The
    file at ``path`` stays, and names the process that has the lock.

    Args:
        path: The lock file, made where there is none.
        busy: What to say when another process has the lock: "another load is under way".
        timeout: Seconds to wait for it; -1 waits as long as it takes.
        waiting: Called with what to say before it waits.

    Raises:
        CaseError: Another process has the lock; the message says which, where that is known.
        OSError: The lock file cannot be made.
    """
    guard = filelock.FileLock(path)
    try:
        try:
            guard.acquire(timeout=0)
        except filelock.Timeout:
            waiting(f"{busy}{_lock_owner(path)}: waiting for it to end")
            guard.acquire(timeout=timeout)
    except filelock.Timeout:
        raise CaseError(f"{busy}{_lock_owner(path)}: wait for it to end") from None
    try:
        with suppress(OSError):  # only the message of others needs it
            path.write_text(_describe_process(), encoding="utf-8")
        yield
    finally:
        with suppress(OSError):
            path.write_bytes(b"")
        guard.release()


def _describe_process() -> str:
    time = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"
    return f"process {os.getpid()} of {user_name()} on {platform.node()}, since {time}"


def _lock_owner(path: Path) -> str:
    """What a lock file says of the process that has it, in brackets; '' if it says nothing."""
    try:
        text = path.read_text(encoding="utf-8")[:_LONGEST_OWNER]
    except (OSError, ValueError):  # Windows lets nobody read a locked file
        return ""
    return f" ({text})" if text.isprintable() and text else ""


def user_name() -> str:
    """Return the name of the user who runs this process, 'unknown' where there is none."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # no such user, or a system without users
        return "unknown"


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
