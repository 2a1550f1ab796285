"""Zip and tar archives, compressed or not: recognised, and their members listed.

Zip members are decompressed by ``decompress``, because Python's zipfile decompresses some methods
without bound and others slowly.
"""

from __future__ import annotations

import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator

from isal import igzip_lib

from flowbench.io.byte_source import ByteSource, TooLargeError
from flowbench.io.container import Container, ContainerSlice, Member, SkippedMember
from flowbench.io.decompress import CODECS, Codec, Decompression

MAX_MEMBERS = 1_000_000  # more would not fit the memory
MAX_HEADER = 128 << 20  # bytes of a zip's directory, or of a name in a tar, read at once

_CHUNK = 1 << 20  # bytes read at once
_DETECTION_STEP = 4 << 10  # bytes decompressed at once to see whether they are an archive
_ZIP_SIGNATURES = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
_LOCAL_HEADER = struct.Struct("<4s22xHH")  # of a zip member: signature, lengths of what follows
_ENCRYPTED = 0x1  # flag of a zip member
_STORED, _DEFLATED = 0, 8  # compression methods of zip, by number
_DEFLATE = Codec(
    "deflate", CODECS[0].signature, lambda: igzip_lib.IgzipDecompressor(igzip_lib.DECOMP_DEFLATE)
)
_METHODS = {_DEFLATED: _DEFLATE} | {
    number: codec
    for name, number in (("bzip2", 12), ("zstd", 93), ("xz", 95))
    for codec in CODECS
    if codec.name == name
}
_UNSUPPORTED = {1: "Shrink", 6: "Implode", 9: "Deflate64", 14: "LZMA", 98: "PPMd", 99: "AES"}
_ERRORS = (  # whatever zipfile and tarfile raise on damaged or hostile archives
    *(zipfile.BadZipFile, tarfile.TarError, zlib.error, struct.error, EOFError, OSError),
    *(ValueError, TypeError, KeyError, IndexError, AttributeError),
    *(OverflowError, RecursionError, NotImplementedError),
)


def detect_archive(source: ByteSource) -> str | None:
    """Return 'zip' or 'tar' when the decompressed bytes are such an archive, else None."""
    steps = (
        chunk[i : i + _DETECTION_STEP]
        for chunk in source.chunks()
        for i in range(0, len(chunk), _DETECTION_STEP)
    )
    head = b""
    for chunk in Decompression(steps).chunks():
        head += chunk
        if len(head) >= tarfile.BLOCKSIZE:
            break
    if head.startswith(_ZIP_SIGNATURES):
        return "zip"
    try:
        tarfile.TarInfo.frombuf(head[: tarfile.BLOCKSIZE], "utf-8", "surrogateescape")
    except (tarfile.HeaderError, ValueError):
        return None
    return "tar"


def list_members(container: Container, archive_type: str) -> list[Member]:
    """List the files in an archive, in its order.

    What cannot be read is added to ``container.skipped``, with the reasons; nothing is raised for
    a damaged archive.

    Args:
        container: The archive.
        archive_type: What ``detect_archive`` returned.
    """
    members: list[Member] = []
    skipped = container.skipped
    try:
        for entry in (_list_zip if archive_type == "zip" else _list_tar)(container):
            if isinstance(entry, Member):
                members.append(entry)
            else:
                skipped.append(entry)
            if len(members) + len(skipped) > MAX_MEMBERS:
                reason = f"more than {MAX_MEMBERS:,} members: unpack it and load the folder"
                skipped.append(SkippedMember("", reason))
                break
    except TooLargeError as error:
        skipped.append(SkippedMember("", str(error)))
    except _ERRORS as error:
        reason = (
            f"the zip's directory, at its end, is missing or damaged ({error}): get the file again,"
            " or repair it with `zip -FF` and load what comes out"
            if archive_type == "zip"
            else f"the tar archive is cut off or damaged ({error}); what came before is kept"
        )
        skipped.append(SkippedMember("", reason))
    if container.problem:  # damaged compression explains what is wrong with the archive in it
        named = [member for member in skipped if member.name]
        skipped[:] = [*named, SkippedMember("", container.problem)]
    container.pending_members = len(members)
    return members


def _whole(container: Container) -> ContainerSlice:
    return ContainerSlice(container, 0, container.size, MAX_HEADER)


def _list_zip(container: Container) -> Iterator[Member | SkippedMember]:
    with zipfile.ZipFile(_whole(container)) as archive:
        infos = archive.infolist()
    overlapping, end = set(), 0
    for info in sorted(infos, key=lambda info: info.header_offset):
        if info.header_offset < end:
            overlapping.add(id(info))
        else:
            end = info.header_offset + _LOCAL_HEADER.size + info.compress_size
    for info in infos:
        if info.is_dir():
            continue
        if id(info) in overlapping:  # how a few bytes are made to decompress to petabytes
            yield SkippedMember(info.filename, "shares its bytes with another member: a zip bomb")
        else:
            yield _zip_member(container, info)


def _zip_member(container: Container, info: zipfile.ZipInfo) -> Member | SkippedMember:
    header = container.read_at(max(0, info.header_offset), _LOCAL_HEADER.size)
    is_whole = len(header) == _LOCAL_HEADER.size
    signature, *lengths = _LOCAL_HEADER.unpack(header) if is_whole else (b"", 0, 0)
    if signature != _ZIP_SIGNATURES[0]:
        reason = "damaged: the zip's directory points to bytes that are not a member"
    elif info.flag_bits & _ENCRYPTED:
        reason = "encrypted: unpack it with its password and load what comes out"
    elif info.compress_type not in (_STORED, *_METHODS):
        method = _UNSUPPORTED.get(info.compress_type, f"method {info.compress_type}")
        reason = f"compressed in a way that flowbench does not know ({method}): unpack it"
    else:
        return Member(
            container,
            info.filename,
            info.header_offset + _LOCAL_HEADER.size + sum(lengths),
            info.compress_size,
            method=_METHODS.get(info.compress_type),
            expected=(info.CRC, info.file_size),
        )
    return SkippedMember(info.filename, reason)


def _list_tar(container: Container) -> Iterator[Member | SkippedMember]:
    whole = _whole(container)
    with tarfile.open(fileobj=whole, mode="r:", encoding="utf-8") as archive:
        previous = -1
        while (info := archive.next()) is not None:
            if archive.offset <= previous or info.size < 0:  # leads back: it would never end
                raise tarfile.ReadError("a header with an impossible size")
            previous = archive.offset
            archive.members = []  # type: ignore[attr-defined]  # or it would keep them all
            if info.sparse is not None:
                yield SkippedMember(info.name, "a sparse file of a tar archive: unpack it")
            elif info.isreg():
                yield Member(container, info.name, info.offset_data, info.size)
            elif not info.isdir() and not info.islnk():  # a hard link is a member already
                reason = "a link or device in the tar archive, not a file: nothing to read"
                yield SkippedMember(info.name, reason)
        whole.seek(archive.offset)
        rest = iter(lambda: whole.read(_CHUNK), b"")
        first = next(rest, b"")
        if not first:
            reason = "the tar archive has no end: it was cut off, or is still being written"
            yield SkippedMember("", reason)
        elif first.strip(b"\0") or any(chunk.strip(b"\0") for chunk in rest):
            reason = (
                f"from byte {archive.offset:,} on the tar archive is damaged, or another follows"
            )
            yield SkippedMember("", reason)
