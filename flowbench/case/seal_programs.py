"""Signatures and time stamps of anchors, made and checked by installed programs.

* ``ssh-keygen -Y``: SSH signatures (OpenSSH, PROTOCOL.sshsig).
* ``gpg``: OpenPGP signatures (RFC 9580), with the keys of the user's keyring.
* ``openssl ts``: time stamps of an authority (RFC 3161).

A signature or time stamp is a file beside the anchor, named after it.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from flowbench.case.check import ALTERED, INTACT, NOT_TRUSTED, NOTE
from flowbench.errors import InputError
from flowbench.io import atomic

_NAMESPACE = "flowbench-anchor"  # of SSH signatures; those of another namespace are not accepted
_SSH, _GPG, _STAMP = ".sig", ".asc", ".tsr"
_TIMEOUT = 120  # seconds; the user may have to enter a passphrase
# An authority may give fractions of a second, which openssl prints behind the seconds.
_TIME = re.compile(r"^Time stamp: (.*?)(?:\.\d+)?( \d{4}) GMT$", re.MULTILINE)
_NO_PROGRAM = 127  # the exit code of a shell for a program that is not installed


class Trust(NamedTuple):
    """Whose signatures and time stamps to accept.

    Attributes:
        signers: A file of SSH keys with their owners (ssh-keygen, ALLOWED SIGNERS).
        authorities: The certificates of time-stamp authorities' roots (PEM).
    """

    signers: Path | None = None
    authorities: Path | None = None


NO_TRUST = Trust()


def wanted_signatures(trust: Trust) -> dict[str, str]:
    """Return which suffix of signatures each option of ``verify`` asks for."""
    given = {"--signers": (trust.signers, _SSH), "--timestamp-ca": (trust.authorities, _STAMP)}
    return {option: suffix for option, (file, suffix) in given.items() if file is not None}


def find_signatures(anchor: Path) -> list[Path]:
    """Return the signatures and time stamps beside an anchor."""
    paths = [anchor.with_name(anchor.name + suffix) for suffix in (_SSH, _GPG, _STAMP)]
    return [path for path in paths if path.is_file()]


def sign_with_ssh(anchor: Path, key: Path) -> Path:
    """Sign an anchor with an SSH key: a private key, or a public one that ssh-agent has.

    Raises InputError when it cannot be signed.
    """
    words = ["ssh-keygen", "-Y", "sign", "-f", str(key), "-n", _NAMESPACE, str(anchor)]
    _run_or_raise(words, f"cannot sign with {key}")
    if not anchor.with_name(anchor.name + _SSH).is_file():
        raise InputError(f"cannot sign with {key}: ssh-keygen wrote no signature")
    return anchor.with_name(anchor.name + _SSH)


def sign_with_gpg(anchor: Path, key: str) -> Path:
    """Sign an anchor with a key of the user's GnuPG keyring. Raises InputError when it cannot."""
    target = anchor.with_name(anchor.name + _GPG)
    words = ["gpg", "--yes", "--armor", "--local-user", key, "--output", str(target)]
    failed = f"cannot sign with {key}"
    _run_or_raise([*words, "--detach-sign", str(anchor)], failed)
    if not target.is_file():
        raise InputError(f"{failed}: gpg wrote no signature")
    return target


def stamp(anchor: Path, request: Callable[[bytes], bytes]) -> Path:
    """Get a time stamp for an anchor; only its SHA-256 is sent.

    Args:
        anchor: The anchor.
        request: Sends a request (TimeStampReq, DER) to an authority and returns its answer.

    Raises:
        InputError: The authority gives no time stamp, or not for this anchor.
    """
    target = anchor.with_name(anchor.name + _STAMP)
    failed = "cannot get a time stamp"
    with tempfile.TemporaryDirectory(prefix="flowbench-") as folder:
        query = Path(folder) / "query.tsq"
        words = ["openssl", "ts", "-query", "-data", str(anchor), "-sha256", "-cert"]
        _run_or_raise([*words, "-out", str(query)], failed)
        answer = Path(folder) / "answer.tsr"
        answer.write_bytes(request(query.read_bytes()))
        text = _run_or_raise(["openssl", "ts", "-reply", "-in", str(answer), "-text"], failed)
        nonce = re.compile(r"^Nonce: (\S+)$", re.MULTILINE)
        asked = _run_or_raise(["openssl", "ts", "-query", "-in", str(query), "-text"], failed)
        if not _is_granted(text, anchor) or nonce.findall(text) != nonce.findall(asked):
            raise InputError(
                f"{failed}: the authority's answer is not a time stamp of this request"
            )
        atomic.write_bytes(target, answer.read_bytes(), durable=True)
    return target


def check_signature(anchor: Path, signature: Path, trust: Trust) -> tuple[str, str]:
    """Check a signature or time stamp of an anchor.

    Returns:
        The result ('intact', 'altered', 'not trusted'; 'note' when it cannot be checked here) and
        the detail.
    """
    check = {_SSH: _check_ssh, _GPG: _check_gpg, _STAMP: _check_stamp}[signature.suffix]
    return check(anchor, signature, trust)


def _check_ssh(anchor: Path, signature: Path, trust: Trust) -> tuple[str, str]:
    common = ["-n", _NAMESPACE, "-s", str(signature)]
    words = ["ssh-keygen", "-Y", "check-novalidate", *common]
    signer = "; the signer was not checked: give --signers"
    if trust.signers is not None:
        owners = ["ssh-keygen", "-Y", "find-principals", "-s", str(signature)]
        code, text = _run([*owners, "-f", str(trust.signers)])
        if code == _NO_PROGRAM:
            return NOTE, f"not checked: {text}"
        if code or not text:
            return NOT_TRUSTED, f"signed with a key that is not in {trust.signers}"
        owner = text.splitlines()[0]
        words = ["ssh-keygen", "-Y", "verify", "-f", str(trust.signers), "-I", owner, *common]
        signer = ""
    code, text = _run(words, anchor.read_bytes())
    if code == _NO_PROGRAM:
        return NOTE, f"not checked: {text}"
    if code:
        return ALTERED, "the SSH signature does not match this anchor"
    return INTACT, f"{_last_line(text)}{signer}"


def _check_gpg(anchor: Path, signature: Path, trust: Trust) -> tuple[str, str]:  # noqa: ARG001
    words = ["gpg", "--batch", "--status-fd", "1", "--verify", str(signature), str(anchor)]
    code, text = _run(words)
    if code == _NO_PROGRAM:
        return NOTE, f"not checked: {text}"
    status = dict(
        line.removeprefix("[GNUPG:] ").partition(" ")[::2]
        for line in text.splitlines()
        if line.startswith("[GNUPG:] ")
    )
    if code == 0 and "GOODSIG" in status and "VALIDSIG" in status:
        name = status["GOODSIG"].partition(" ")[2]
        return INTACT, f"OpenPGP signature of {name}, key {status['VALIDSIG'].partition(' ')[0]}"
    if "NO_PUBKEY" in status:
        return NOTE, f"not checked: your GnuPG keyring lacks the key {status['NO_PUBKEY']}"
    for name, meaning in (("EXPKEYSIG", "has expired"), ("REVKEYSIG", "was revoked")):
        if name in status:
            return NOTE, f"the OpenPGP signature matches this anchor, but its key {meaning}"
    return ALTERED, "the OpenPGP signature does not match this anchor"


def _check_stamp(anchor: Path, signature: Path, trust: Trust) -> tuple[str, str]:
    code, text = _run(["openssl", "ts", "-reply", "-in", str(signature), "-text"])
    if code == _NO_PROGRAM:
        return NOTE, f"not checked: {text}"
    time = _TIME.search(text)
    if code or time is None or not _is_granted(text, anchor):
        return ALTERED, "the time stamp does not match this anchor"
    moment = datetime.strptime("".join(time.groups()), "%b %d %H:%M:%S %Y").replace(tzinfo=UTC)
    stamped = f"time stamp of {moment:%Y-%m-%d %H:%M:%S} UTC"
    if trust.authorities is None:
        return INTACT, f"{stamped}; its authority was not checked: give --timestamp-ca"
    words = ["openssl", "ts", "-verify", "-in", str(signature), "-data", str(anchor)]
    # As of then: the authority's certificate may have expired since.
    words += ["-CAfile", str(trust.authorities), "-attime", str(int(moment.timestamp()))]
    code, text = _run(words)
    if code or "Verification: OK" not in text:
        return ALTERED, f"{stamped}, not from an authority in {trust.authorities}, or changed since"
    return INTACT, f"{stamped}, from an authority in {trust.authorities}"


def _is_granted(text: str, anchor: Path) -> bool:
    """Whether an answer, as openssl prints it, has a time stamp of an anchor's SHA-256."""
    dump = re.search(r"^Message data:\n((?: +[0-9a-f]{4} - .*\n)+)", text, re.MULTILINE)
    if dump is None or "Status: Granted" not in text or "Hash Algorithm: sha256" not in text:
        return False
    rows = [line.split(" - ", 1)[1][:47] for line in dump[1].splitlines()]
    digits = "".join(re.findall(r"[0-9a-f]{2}", " ".join(rows)))
    return digits == atomic.sha256_file(anchor)


def _run_or_raise(words: Sequence[str], failed: str) -> str:
    code, text = _run(words)
    if code:
        raise InputError(f"{failed}: {_last_line(text) or f'{words[0]} failed'}")
    return text


def _run(words: Sequence[str], data: bytes | None = None) -> tuple[int, str]:
    """Run a program; return its exit code and what it printed."""
    try:
        done = subprocess.run(  # noqa: S603  # programs by name, files as arguments; no shell
            words,
            input=data,  # None: a passphrase may be entered
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_TIMEOUT,
            check=False,
        )
    except (FileNotFoundError, NotADirectoryError):
        return _NO_PROGRAM, f"{words[0]} is not installed"
    except (OSError, subprocess.TimeoutExpired) as error:
        return _NO_PROGRAM, f"{words[0]} cannot be run: {error}"
    return done.returncode, done.stdout.decode("utf-8", "replace").replace("\r\n", "\n")


def _last_line(text: str) -> str:
    """The last line of what a program printed, without the prompt for a passphrase before it."""
    last = next(reversed([line for line in text.splitlines() if line.strip()]), "").strip()
    return re.sub(r"^Enter passphrase[^:]*: *", "", last)
