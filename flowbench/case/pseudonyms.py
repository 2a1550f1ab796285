"""A pseudonymised copy of a case, to hand to somebody who need not know whose it is.

Replaced, by HMAC-SHA-256 with a key that the sender keeps (NIST SP 800-188): account ids, access
keys, ids of resources (i-…, eni-…, vpc-…), names of principals and Name tags, values of all other
tags, paths and the users of the custody log. The same value has the same pseudonym
everywhere, also in sentences and requests, so that the case can be worked with as before.
Addresses, domains, times and counts stay.

Known limits: names in free text that occur nowhere as a principal or a Name tag stay (buckets,
e-mail addresses, what an analyst wrote); so do names of one or two characters in sentences and
requests, and names in another case, within a longer word, or escaped (JSON's backslash-u, per
cent). Ids that do not have AWS's form stay. The custody log is written anew, with the head of the
original: a pseudonymised case can be checked against itself, not against the original evidence.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import secrets
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from flowbench.case import manifest
from flowbench.case.custody import START, CustodyLog, entry_digest
from flowbench.case.pack import pack_case
from flowbench.errors import InputError
from flowbench.io import atomic

ACTION = "pseudonymise"

_NOTE = """
The case is pseudonymised: account ids, access keys, resource ids, names and tags are replaced. Its
custody log was written anew; the head of the original log is in its last entry. `flowbench verify`
compares this case with this log. It cannot be verified against the original evidence.
"""
_KEY_BYTES = 32
_ACCOUNTS = ("account_id", "owner_id")
_NAMES = ("principal_name", "target_user", "principal_names", "name", "key_name", "by")
_ARNS = ("principal_arn", "issuer_arn", "profile_arn")
_NAMED_TABLES = ("api_events", "alerts", "interfaces", "instances", "elastic_ips")
_RESOURCE = (
    r"(?<![\w-])(?:i|eni|eni-attach|ela-attach|vpc|subnet|sg|vol|snap|ami|eipalloc|eipassoc|fl|acl"
    r"|rtb|igw|nat|tgw|tgw-attach|vpce|pcx|r|o|ou|rqlc)-[0-9A-Za-z]{4,32}(?![\w-])"
)
_ACCESS_KEY = r"(?<![A-Za-z0-9])(?:A[A-Z]{2}A)[A-Z0-9]{8,124}(?![A-Za-z0-9])"
_REQUESTS = ("request", "response")  # columns of JSON
_JSON_TEXT = r'"(?:[^"\\]|\\.)*"'
_TAG_IN_JSON = re.compile(
    rf'("(?:[kK]ey|tagKey)"\s*:\s*{_JSON_TEXT}\s*,\s*"(?:[vV]alue|tagValue)"\s*:\s*")'
    r'((?:[^"\\]|\\.)*)'
)
_SHORTEST = 3  # characters of a name: shorter ones occur in other words


def pack_pseudonymised(case: Path, log: CustodyLog, target: Path, key_file: Path) -> Path:
    """Write an archive of a pseudonymised copy of a case.

    Args:
        case: The folder of the case.
        log: Its custody log.
        target: The zip file to write.
        key_file: A file with the key; it is made, for the owner only, if it does not exist.

    Raises:
        InputError: The key cannot be read or written.
        CaseError: The case was changed.
    """
    key = read_key(key_file)
    with tempfile.TemporaryDirectory(prefix="flowbench-") as temporary:
        copy = Path(temporary) / "case"
        copy.mkdir(mode=0o700)
        _copy_case(case, log, copy, Pseudonyms(key, *_collect(case, log)))
        again = CustodyLog(copy / "custody.jsonl", log.tool)
        return pack_case(copy, again, target, note=_NOTE)


def read_key(path: Path) -> bytes:
    """Read the key in a file, or make one. Raises InputError."""
    try:
        if not path.exists():
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
            with os.fdopen(os.open(path, flags, 0o600), "w") as file:
                file.write(secrets.token_hex(_KEY_BYTES) + "\n")
        text = atomic.read_bytes(path).decode("ascii").strip()
        key = bytes.fromhex(text)
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be used as a key: {error}") from error
    if len(key) < _KEY_BYTES:
        raise InputError(f"{path} is no key of {_KEY_BYTES} bytes: give another file")
    return key


class Pseudonyms:
    """Replaces what identifies an organisation in any text."""

    def __init__(self, key: bytes, accounts: Iterable[str], names: Iterable[str]) -> None:
        self._key = key
        self._accounts = {account for account in accounts if re.fullmatch(r"\d{12}", account)}
        parts = [_RESOURCE, _ACCESS_KEY]
        # A session may have the name of an instance.
        ids = re.compile("|".join(f"(?:{part})" for part in parts))
        names = {name for name in names if not ids.fullmatch(name)}
        self._short = frozenset(name for name in names if len(name) < _SHORTEST)
        names -= self._short
        known = sorted(names, key=lambda name: (-len(name), name))
        if self._accounts:
            parts.append(rf"(?<!\d)(?:{'|'.join(sorted(self._accounts))})(?!\d)")
        if known:
            parts.append(rf"(?<!\w)(?:{'|'.join(map(re.escape, known))})(?!\w)")
        self._names = frozenset(known)
        self._pattern = re.compile("|".join(f"(?:{part})" for part in parts))

    def replace(self, text: str) -> str:
        """Return a text with pseudonyms for everything that is known."""
        return self._pattern.sub(lambda found: self.of(found.group()), text)

    def of(self, value: str) -> str:
        """Return the pseudonym of a value, in the form that such values have."""
        digits = hmac.new(self._key, value.encode("utf-8", "surrogatepass"), hashlib.sha256)
        text = digits.hexdigest()
        if value in self._names or value in self._short:
            return f"name-{text[:10]}"
        if value in self._accounts:
            return f"{int(text[:14], 16) % 10**12:012d}"
        if re.fullmatch(_ACCESS_KEY, value):
            letters = hashlib.sha256(text.encode()).hexdigest().upper()
            return value[:4] + letters[: len(value) - 4].ljust(len(value) - 4, "0")
        return f"{value.rpartition('-')[0]}-{text[:17]}"

    def name(self, value: str) -> str:
        """Return the pseudonym of a name or an ARN, short names included."""
        pieces = self.replace(value).split("/")
        return "/".join(self.of(piece) if piece in self._short else piece for piece in pieces)

    def tag(self, value: str) -> str:
        """Return the pseudonym of a tag's value: of a name that, else one of its own."""
        replaced = self.replace(value)
        return replaced if replaced != value else f"tag-{self.of(f'tag-{value}x')[-8:]}"

    def request(self, value: str) -> str:
        """Return a request or response of an API call, in JSON, with pseudonyms; tags included."""
        return self.replace(
            _TAG_IN_JSON.sub(
                lambda found: found[1] + self.tag(found[2]) if found[2] else found[0], value
            )
        )


def _collect(case: Path, log: CustodyLog) -> tuple[set[str], set[str]]:
    """The account ids and the names that the tables of a case have."""
    accounts: set[str] = set()
    names: set[str] = set()
    for part in log.parts:
        file = pq.ParquetFile(case / "tables" / part["file"])
        present = [n for n in file.schema_arrow.names if n in {*_ACCOUNTS, *_NAMES, *_ARNS, "tags"}]
        if part["table"] not in _NAMED_TABLES:  # other tables' names are domains
            present = [name for name in present if name in _ACCOUNTS]
        if not present:
            continue
        for column, values in zip(present, file.read(columns=present).columns, strict=True):
            is_nested = pa.types.is_nested(values.type)
            found = set(_texts(values if is_nested else pc.unique(values)))
            if column in _ACCOUNTS:
                accounts |= found
            elif column in _ARNS:
                accounts |= {m for arn in found for m in re.findall(r":(\d{12}):", arn)}
                names |= {piece for arn in found for piece in arn.split(":")[-1].split("/")[1:]}
            elif column != "tags":
                names |= {piece for text in found for piece in (text, *text.split("/"))}
    names |= {str(entry["by"]) for entry in log.entries}
    return accounts, names - {"root", "Root", "unknown", ""}


def _is_text(type_: pa.DataType) -> bool:
    return pa.types.is_string(type_) or pa.types.is_large_string(type_)


def _texts(values: Any) -> Iterator[str]:
    """Every text in a column, at any depth."""
    for value in values.to_pylist():
        yield from _in_value(value)


def _in_value(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _in_value(each)
    elif isinstance(value, dict):
        for each in value.values():
            yield from _in_value(each)


def _copy_case(case: Path, log: CustodyLog, copy: Path, pseudonyms: Pseudonyms) -> None:
    """Write tables, findings, case.json and a custody log of a pseudonymised case."""
    digests: dict[str, dict[str, Any]] = {}
    for part in log.parts:
        source, target = case / "tables" / part["file"], copy / "tables" / part["file"]
        digests[part["file"]] = _copy_parquet(source, target, pseudonyms)
    for entry in log.entries:
        for run in entry["details"].get("runs") or ():
            name = Path(run["file"]).name
            digests[run["file"]] = _copy_parquet(
                case / "findings" / name, copy / "findings" / name, pseudonyms
            )
    content = json.loads(atomic.read_bytes(case / manifest.FILE))
    content["name"] = pseudonyms.of(f"case {content['name']}").partition("-")[2] or "case"
    content["name"] = f"case-{content['name'][:8]}"
    data = (json.dumps(content, indent=2) + "\n").encode()
    atomic.write_bytes(copy / manifest.FILE, data)
    _copy_log(log, copy, pseudonyms, digests, content["name"], atomic.sha256_bytes(data))


def _copy_parquet(source: Path, target: Path, pseudonyms: Pseudonyms) -> dict[str, Any]:
    """Write a Parquet file with pseudonyms; return its digest and size."""
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = pq.ParquetFile(source)
    with pq.ParquetWriter(target, file.schema_arrow, compression="zstd") as writer:
        for batch in file.iter_batches(batch_size=1 << 18):
            columns = [
                _map_column(batch.column(number), name, pseudonyms)
                for number, name in enumerate(batch.schema.names)
            ]
            writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=batch.schema))
    return {"sha256": atomic.sha256_file(target), "bytes": target.stat().st_size}


def _map_column(column: pa.Array, name: str, pseudonyms: Pseudonyms) -> pa.Array:
    """A column with pseudonyms for the texts in it, at any depth."""
    replace = pseudonyms.tag if name == "tags" else pseudonyms.replace
    if name in _REQUESTS:
        replace = pseudonyms.request
    if name in {*_NAMES, *_ARNS}:
        replace = pseudonyms.name
    if _is_text(column.type):
        encoded = column.dictionary_encode()
        values = [None if v is None else replace(v) for v in encoded.dictionary.to_pylist()]
        mapped = pa.array(values, column.type)
        return pa.DictionaryArray.from_arrays(encoded.indices, mapped).dictionary_decode()
    if pa.types.is_dictionary(column.type):
        values = _map_column(column.dictionary, name, pseudonyms)
        return pa.DictionaryArray.from_arrays(column.indices, values).cast(column.type)
    if not pa.types.is_nested(column.type):
        return column
    rows = [_map_value(value, replace) for value in column.to_pylist(maps_as_pydicts=None)]
    return pa.array(rows, column.type)


def _map_value(value: Any, replace: Callable[[str], str]) -> Any:
    """A value with its texts replaced; the keys of maps stay."""
    if isinstance(value, str):
        return replace(value)
    if isinstance(value, tuple) and len(value) == 2:  # key and value of a map
        return value[0], _map_value(value[1], replace)
    if isinstance(value, list):
        return [_map_value(each, replace) for each in value]
    if isinstance(value, dict):
        return {name: _map_value(each, replace) for name, each in value.items()}
    return value


def _copy_log(
    log: CustodyLog,
    copy: Path,
    pseudonyms: Pseudonyms,
    digests: dict[str, dict[str, Any]],
    name: str,
    case_sha256: str,
) -> None:
    """Write the custody log anew: each entry with pseudonyms, and one with the original's head."""
    lines, previous = [], START
    for entry in log.entries:
        details = _map_value(entry["details"], pseudonyms.replace)
        for kind in ("parts", "runs"):
            originals = entry["details"].get(kind) or ()
            for row, original in zip(details.get(kind) or (), originals, strict=True):
                row.update(digests.get(original["file"], {}) | {"file": original["file"]})
        for row in details.get("evidence") or ():
            row["path"] = f"/not-packed/{row['file']}"
        if entry["action"] == "create":
            details |= {"name": name, "manifest": case_sha256}
        new = {**entry, "details": details, "by": pseudonyms.of(f"by-{entry['by']}x")[-10:]}
        new["previous"] = previous
        new["digest"] = previous = entry_digest(new)  # type: ignore[arg-type]
        lines.append(json.dumps(new, sort_keys=True, separators=(",", ":")))
    copy.joinpath("custody.jsonl").write_text("".join(f"{line}\n" for line in lines), "utf-8")
    copy.joinpath("custody.head").write_text(f"{len(lines)} {previous}\n", "utf-8")
    CustodyLog(copy / "custody.jsonl", log.tool).append(ACTION, original_head=log.head)
