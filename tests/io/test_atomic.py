"""Files written whole or not at all, their SHA-256, and locks between processes."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from flowbench.errors import CaseError
from flowbench.io import atomic

DATA = b"10.0.1.10 198.51.100.7\n"


def test_write_bytes_replaces_a_file_and_leaves_nothing_aside(tmp_path: Path) -> None:
    target = tmp_path / "report.html"
    target.write_bytes(b"before")
    atomic.write_bytes(target, DATA, durable=True)
    assert target.read_bytes() == DATA
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_a_device_or_a_pipe_is_never_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for target in (pipe, Path("/dev/null")):
        with pytest.raises(OSError, match="a device or a pipe"):
            atomic.write_bytes(target, DATA)
    assert pipe.is_fifo()
    assert Path("/dev/null").is_char_device()


def test_the_target_keeps_its_content_until_the_end_of_the_with(tmp_path: Path) -> None:
    target = tmp_path / "case.json"
    target.write_bytes(b"before")
    with atomic.write_aside(target) as aside:
        assert aside.name == "case.json.aside"
        aside.write_bytes(DATA)
        assert target.read_bytes() == b"before"
    assert target.read_bytes() == DATA


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_failure_keeps_the_old_file_and_removes_what_was_written(tmp_path: Path, error) -> None:
    target = tmp_path / "case.json"
    target.write_bytes(b"before")

    def fail_midway() -> None:
        with atomic.write_aside(target) as aside:
            aside.write_bytes(DATA)
            raise error

    with pytest.raises(error):
        fail_midway()
    assert target.read_bytes() == b"before"
    assert [path.name for path in tmp_path.iterdir()] == ["case.json"]


def test_folders_are_renamed_whole_and_leftovers_of_a_kill_removed(tmp_path: Path) -> None:
    leftover = tmp_path / "connections.aside"
    leftover.mkdir()
    (leftover / "half.parquet").write_bytes(b"half")
    with atomic.write_aside(tmp_path / "connections") as aside:
        assert not aside.exists()
        aside.mkdir()
        (aside / "whole.parquet").write_bytes(DATA)
    assert [path.name for path in (tmp_path / "connections").iterdir()] == ["whole.parquet"]
    assert not leftover.exists()


def test_a_leftover_link_is_removed_and_its_target_stays(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_bytes(DATA)
    (tmp_path / "x.aside").symlink_to(precious)
    atomic.write_bytes(tmp_path / "x", DATA)
    assert (precious / "file").read_bytes() == DATA
    assert not (tmp_path / "x").is_symlink()


def test_a_folder_that_is_missing_is_an_error_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        atomic.write_bytes(tmp_path / "missing" / "x", DATA)


def test_a_killed_writer_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "case.json"
    target.write_bytes(b"before")
    code = (
        "import os, signal, sys; from pathlib import Path; from flowbench.io import atomic\n"
        "with atomic.write_aside(Path(sys.argv[1])) as aside:\n"
        "    aside.write_bytes(b'half'); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(target)], check=False)
    assert target.read_bytes() == b"before"
    assert (tmp_path / "case.json.aside").exists()
    atomic.write_bytes(target, DATA)
    assert [path.name for path in tmp_path.iterdir()] == ["case.json"]


def test_a_hashed_file_gets_its_name_on_commit(tmp_path: Path) -> None:
    file = atomic.HashedFile(tmp_path / "part.parquet")
    assert file.write(DATA) == len(DATA)
    file.write(memoryview(DATA))
    file.flush()
    assert not (tmp_path / "part.parquet").exists()
    assert not file.closed
    file.commit()
    assert file.closed
    assert (tmp_path / "part.parquet").read_bytes() == DATA * 2
    assert file.sha256.hexdigest() == hashlib.sha256(DATA * 2).hexdigest()
    assert file.tell() == file.size == 2 * len(DATA)


@pytest.mark.parametrize("committed", [False, True])
def test_a_discarded_hashed_file_is_gone(tmp_path: Path, committed) -> None:
    file = atomic.HashedFile(tmp_path / "part.parquet")
    file.write(DATA)
    if committed:
        file.commit()
    file.discard()
    assert not list(tmp_path.iterdir())


def test_sha256_of_bytes_and_of_a_file_are_the_published_values(tmp_path: Path) -> None:
    # FIPS 180-4, example of one block
    abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    (tmp_path / "abc").write_bytes(b"abc")
    assert atomic.sha256_bytes(b"abc") == atomic.sha256_file(tmp_path / "abc") == abc
    assert atomic.is_intact(tmp_path / "abc", abc)
    assert not atomic.is_intact(tmp_path / "abc", abc.upper())
    assert not atomic.is_intact(tmp_path / "missing", abc)
    assert not atomic.is_intact(tmp_path, abc)


def hold_lock(path: Path) -> subprocess.Popen[str]:
    """Another process that has the lock until it is killed."""
    code = (
        "import sys, time; from pathlib import Path; from flowbench.io import atomic\n"
        "with atomic.lock(Path(sys.argv[1]), 'busy'): print('locked', flush=True); time.sleep(60)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "locked\n"
    return process


def test_a_lock_names_the_process_that_has_it_and_ends_with_it(tmp_path: Path) -> None:
    path = tmp_path / "ingest.lock"
    other = hold_lock(path)
    try:
        message = rf"another load is under way \(process {other.pid} of .* UTC\): wait for it"
        with (
            pytest.raises(CaseError, match=message),
            atomic.lock(path, "another load is under way"),
        ):
            pass
        began = time.monotonic()
        said: list[str] = []
        with (
            pytest.raises(CaseError),
            atomic.lock(path, "busy", timeout=0.3, waiting=said.append),
        ):
            pass
        assert [f"busy (process {other.pid} of " in text for text in said] == [True]
        assert time.monotonic() - began >= 0.3
    finally:
        other.kill()
        other.communicate()
    with atomic.lock(path, "busy"):
        assert path.exists()


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"\x1b[2J", b"x\ny"])
def test_a_lock_file_with_odd_content_is_not_quoted(tmp_path: Path, content) -> None:
    path = tmp_path / "ingest.lock"
    with atomic.lock(path, "busy"):
        path.write_bytes(content)
        with (
            pytest.raises(CaseError, match=r"^busy: wait for it to end$"),
            atomic.lock(path, "busy"),
        ):
            pass


def test_a_lock_is_given_back_after_an_error(tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(ValueError, match="x"), atomic.lock(tmp_path / "l", "busy"):
            raise ValueError("x")
    assert (tmp_path / "l").read_bytes() == b""


def test_a_lock_where_no_file_can_be_made_is_an_error_of_the_system(tmp_path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OSError, match="file"), atomic.lock(tmp_path / "file" / "l", "busy"):
        pass


def test_a_user_without_a_name_is_unknown(monkeypatch) -> None:
    def no_user() -> str:
        raise KeyError("uid not found")

    monkeypatch.setattr(atomic.getpass, "getuser", no_user)
    assert atomic.user_name() == "unknown"


def test_only_regular_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(DATA)
    (tmp_path / "link").symlink_to(tmp_path / "a")
    assert atomic.read_bytes(tmp_path / "link") == DATA
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero"), tmp_path):
        with pytest.raises(OSError, match="not a regular file"):
            atomic.read_bytes(path)
        assert not atomic.is_intact(path, "0" * 64)
