"""Tests of flowbench seal, and of verify on what it wrote."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.case.authority import Authority
from tests.cli.running import run


def test_an_anchor_without_a_signature(loaded: Path) -> None:
    result = run("seal", loaded)
    assert result.exit_code == 0
    (anchor,) = map(Path, result.stdout.split())
    assert anchor.parent == loaded / "seals"
    head = anchor.read_text().split("head: ")[1][:64]
    assert result.stderr.splitlines()[0] == f"sealed: head {head}"
    checked = run("verify", loaded, "--head", head)
    assert checked.exit_code == 0
    assert checked.stdout.startswith(f"intact: seal seals/{anchor.name}\n  sealed 20")
    assert "not signed" in checked.stdout


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="no ssh-keygen")
@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl")
def test_signed_and_stamped_outside_the_case(loaded: Path, tmp_path: Path) -> None:
    key = tmp_path / "key"
    words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)]
    subprocess.run(words, check=True)
    signers = tmp_path / "signers"
    signers.write_text(f"analyst@example.com {key.with_suffix('.pub').read_text()}")
    authority = Authority(tmp_path / "authority")
    with authority.serve() as url:
        out = ["--timestamp", url, "-o", tmp_path / "safe"]
        result = run("seal", loaded, "--ssh-key", key, *out)
    anchor, signature, stamp = map(Path, result.stdout.split())
    assert (signature.suffix, stamp.suffix) == (".sig", ".tsr")
    given = ["--signers", signers, "--timestamp-ca", authority.root]
    checked = run("verify", loaded, "--anchor", anchor, *given)
    text = " ".join(checked.stdout.split())
    assert checked.exit_code == 0
    assert "signature for analyst@example.com" in text
    assert f"from an authority in {authority.root}" in text
    # A chain rewritten whole, in which the last entry is another one.
    (loaded / "custody.jsonl").unlink()
    (loaded / "custody.head").unlink()
    run("new", tmp_path / "another")
    for name in ("custody.jsonl", "custody.head", "case.json"):
        shutil.copy(tmp_path / "another" / name, loaded)
    shutil.rmtree(loaded / "tables")
    assert run("verify", loaded).exit_code == 0
    checked = run("verify", loaded, "--anchor", anchor, *given)
    assert checked.exit_code == 1
    assert f"altered: seal {anchor}" in checked.stdout


def test_what_cannot_sign_is_exit_code_2(loaded: Path, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("no key")
    result = run("seal", loaded, "--ssh-key", tmp_path / "key")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("flowbench: cannot sign with ")
    result = run("seal", loaded, "--timestamp", "http://127.0.0.1:9/")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "cannot get a time stamp from http://127.0.0.1:9/" in result.stderr
    assert run("verify", loaded).exit_code == 0
    assert list((loaded / "seals").iterdir()) == []
