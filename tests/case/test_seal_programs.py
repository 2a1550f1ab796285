"""Signatures and time stamps: made, checked, of other files, by others, without the program."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from flowbench.case import seal_programs
from flowbench.case.seal_programs import NO_TRUST, Trust, check_signature
from flowbench.errors import InputError
from tests.case.authority import Authority

needs_ssh = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="no ssh-keygen")
needs_gpg = pytest.mark.skipif(shutil.which("gpg") is None, reason="no gpg")
needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl")


@pytest.fixture
def anchor(tmp_path) -> Path:
    path = tmp_path / "anchor-1-00000000.txt"
    path.write_bytes(b"head: 00\n")
    return path


@pytest.fixture
def ssh_key(tmp_path) -> Path:
    return make_ssh_key(tmp_path / "key")


def make_ssh_key(path: Path) -> Path:
    words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", str(path)]
    subprocess.run(words, check=True)
    return path


@pytest.fixture
def gpg_key(monkeypatch) -> Iterator[str]:
    """A keyring of its own, with one key; its path is short, for the agent's socket."""
    with tempfile.TemporaryDirectory(prefix="gpg-", ignore_cleanup_errors=True) as home:
        monkeypatch.setenv("GNUPGHOME", home)
        words = ["gpg", "--batch", "--passphrase", "", "--quick-gen-key", "analyst@example.com"]
        subprocess.run([*words, "ed25519", "sign"], check=True, capture_output=True)
        yield "analyst@example.com"
        subprocess.run(["gpgconf", "--kill", "all"], check=False)


@pytest.fixture(scope="module")
def authority(tmp_path_factory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tsa") / "authority")


def signers(path: Path, key: Path, name: str = "analyst@example.com") -> Trust:
    path.write_text(f"{name} {key.with_suffix('.pub').read_text()}")
    return Trust(signers=path)


@needs_ssh
def test_an_ssh_signature(anchor, ssh_key, tmp_path) -> None:
    signature = seal_programs.sign_with_ssh(anchor, ssh_key)
    assert seal_programs.find_signatures(anchor) == [signature]
    result, detail = check_signature(anchor, signature, NO_TRUST)
    assert result == "intact"
    assert "ED25519 key SHA256:" in detail
    assert detail.endswith("; the signer was not checked: give --signers")
    result, detail = check_signature(anchor, signature, signers(tmp_path / "ours", ssh_key))
    assert (result, detail.partition(" with ")[0]) == (
        "intact",
        'Good "flowbench-anchor" signature for analyst@example.com',
    )
    other = make_ssh_key(tmp_path / "other")
    trust = signers(tmp_path / "theirs", other)
    result, detail = check_signature(anchor, signature, trust)
    assert (result, detail) == ("not trusted", f"signed with a key that is not in {trust.signers}")
    anchor.write_bytes(b"head: 01\n")
    for trust in (NO_TRUST, Trust(signers=tmp_path / "ours")):
        assert check_signature(anchor, signature, trust)[0] == "altered"


@needs_ssh
def test_a_key_with_a_passphrase_and_no_terminal(anchor, tmp_path) -> None:
    words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "secret words", "-f", str(tmp_path / "k")]
    subprocess.run(words, check=True)
    code = (
        "import sys; from pathlib import Path; from flowbench.case import seal_programs as s\n"
        "try: s.sign_with_ssh(Path(sys.argv[1]), Path(sys.argv[2]))\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(anchor), str(tmp_path / "k")],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        start_new_session=True,  # no terminal to ask on
    )
    assert done.stdout.startswith(f"InputError cannot sign with {tmp_path / 'k'}: ")
    assert "passphrase for" not in done.stdout


@needs_openssl
def test_a_time_stamp_with_fractions_of_a_second(anchor, monkeypatch) -> None:
    text = "Time stamp: Nov 27 19:40:05.123456 2026 GMT\n"
    monkeypatch.setattr(seal_programs, "_run", lambda *_: (0, text))
    monkeypatch.setattr(seal_programs, "_is_granted", lambda *_: True)
    result, detail = check_signature(anchor, anchor.with_name("a.tsr"), NO_TRUST)
    assert (result, detail.partition(";")[0]) == ("intact", "time stamp of 2026-11-27 19:40:05 UTC")


@needs_ssh
def test_an_ssh_signature_for_another_purpose_does_not_count(anchor, ssh_key) -> None:
    words = ["ssh-keygen", "-q", "-Y", "sign", "-f", str(ssh_key), "-n", "git", str(anchor)]
    subprocess.run(words, check=True, capture_output=True)
    (signature,) = seal_programs.find_signatures(anchor)
    assert check_signature(anchor, signature, NO_TRUST)[0] == "altered"


@needs_ssh
@pytest.mark.parametrize("content", [b"", b"\x00\xff", b"-----BEGIN SSH SIGNATURE-----\nAAAA\n"])
def test_what_is_no_signature_is_altered(anchor, content) -> None:
    for suffix in (".sig", ".asc", ".tsr"):
        signature = anchor.with_name(anchor.name + suffix)
        signature.write_bytes(content)
        assert check_signature(anchor, signature, NO_TRUST)[0] == "altered"


@needs_ssh
def test_a_key_that_cannot_sign_is_an_input_error(anchor, tmp_path) -> None:
    (tmp_path / "key").write_text("no key")
    with pytest.raises(InputError, match="cannot sign with"):
        seal_programs.sign_with_ssh(anchor, tmp_path / "key")


@needs_gpg
def test_an_openpgp_signature(anchor, gpg_key, monkeypatch, tmp_path) -> None:
    signature = seal_programs.sign_with_gpg(anchor, gpg_key)
    result, detail = check_signature(anchor, signature, NO_TRUST)
    assert result == "intact"
    assert detail.startswith("OpenPGP signature of analyst@example.com, key ")
    with pytest.raises(InputError, match="cannot sign with nobody"):
        seal_programs.sign_with_gpg(anchor, "nobody@example.com")
    signature = seal_programs.sign_with_gpg(anchor, gpg_key)
    anchor.write_bytes(b"head: 01\n")
    assert check_signature(anchor, signature, NO_TRUST)[0] == "altered"
    anchor.write_bytes(b"head: 00\n")
    (tmp_path / "empty").mkdir(mode=0o700)
    with monkeypatch.context() as patched:
        patched.setenv("GNUPGHOME", str(tmp_path / "empty"))
        result, detail = check_signature(anchor, signature, NO_TRUST)
    assert (result, "keyring lacks the key" in detail) == ("note", True)


@needs_openssl
def test_a_time_stamp(anchor, authority, tmp_path) -> None:
    signature = seal_programs.stamp(anchor, authority.answer)
    result, detail = check_signature(anchor, signature, NO_TRUST)
    assert result == "intact"
    assert detail.startswith("time stamp of 20")
    assert detail.endswith("UTC; its authority was not checked: give --timestamp-ca")
    trust = Trust(authorities=authority.root)
    result, detail = check_signature(anchor, signature, trust)
    assert (result, f"from an authority in {authority.root}" in detail) == ("intact", True)
    other = Authority(tmp_path / "other")
    result, detail = check_signature(anchor, signature, Trust(authorities=other.root))
    assert (result, "not from an authority in" in detail) == ("altered", True)
    data = bytearray(signature.read_bytes())
    data[-1] ^= 1  # in the signature of the authority
    signature.write_bytes(data)
    assert check_signature(anchor, signature, trust)[0] == "altered"
    seal_programs.stamp(anchor, authority.answer)
    anchor.write_bytes(b"head: 01\n")
    for chosen in (NO_TRUST, trust):
        assert check_signature(anchor, signature, chosen)[0] == "altered"


@needs_openssl
def test_an_answer_that_is_no_time_stamp_of_the_request_is_refused(anchor, authority) -> None:
    earlier = authority.answer(make_query(anchor))  # a replay: the same digest, another nonce
    for answer in (b"", b"<html>", earlier):
        with pytest.raises(InputError, match="cannot get a time stamp"):
            seal_programs.stamp(anchor, lambda _, answer=answer: answer)
    assert seal_programs.find_signatures(anchor) == []


def make_query(path: Path) -> bytes:
    words = ["openssl", "ts", "-query", "-data", str(path), "-sha256", "-cert"]
    return subprocess.run(words, check=True, capture_output=True).stdout


def test_without_the_program_nothing_is_signed_and_nothing_judged(anchor, monkeypatch) -> None:
    monkeypatch.setenv("PATH", os.devnull)
    for suffix, program in ((".sig", "ssh-keygen"), (".asc", "gpg"), (".tsr", "openssl")):
        signature = anchor.with_name(anchor.name + suffix)
        signature.write_bytes(b"x")
        for trust in (NO_TRUST, Trust(anchor, anchor)):
            detail = f"not checked: {program} is not installed"
            assert check_signature(anchor, signature, trust) == ("note", detail)
    with pytest.raises(InputError, match="ssh-keygen is not installed"):
        seal_programs.sign_with_ssh(anchor, anchor)
