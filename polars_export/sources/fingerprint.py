"""Tell whether a file has changed, by its status, its content or samples of it; and whether the machine was started."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import xxhash

from polars_export.sources.store import FileKind, store_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from polars_export.sources.segments import Segment

__all__ = ["CHECKSUM_KIND", "block_checksums", "boot_id", "checksum", "content_sha256", "fingerprint"]

CHECKSUM_KIND = "xxh3-64 of the first and last 64 KiB of every 32 MiB"
"""How the checksum of a source is made: it is taken as the source is read, and costs next to nothing."""

_BLOCK_BYTES = 32 << 20
_SAMPLE_BYTES = 64 << 10

_BOOT = Path("/proc/sys/kernel/random/boot_id")


def fingerprint(path: str) -> str | None:
    """Return a text that changes when a file is replaced or written; None for what cannot be read again.

    The content is not read.
    """
    try:
        kind, size, identity, version = store_for(path).status(path)
    except (OSError, ValueError):
        return None
    return f"{identity}:{size}:{version}" if kind is FileKind.FILE else None


def content_sha256(path: str) -> str | None:
    """Return the SHA-256 of a small file, in hexadecimal digits; None for what cannot be read again."""
    if fingerprint(path) is None:
        return None
    with store_for(path).open(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def block_checksums(segment: Segment) -> dict[int, int]:
    """Return the checksums of the blocks of a file that start in a segment, by their offsets, from samples of each."""
    found = {}
    first = -(-segment.start // _BLOCK_BYTES) * _BLOCK_BYTES
    for offset in range(first, segment.start + segment.size, _BLOCK_BYTES):
        samples = _samples(offset, min(_BLOCK_BYTES, segment.file_size - offset))
        try:
            data = store_for(segment.path).read_ranges(segment.path, samples)
            found[offset] = xxhash.xxh3_64_intdigest(data)
        except (OSError, ValueError):  # reading its records has failed too, with an error
            return {}
    return found


def _samples(offset: int, length: int) -> Iterator[tuple[int, int]]:
    if length <= 2 * _SAMPLE_BYTES:
        yield offset, length
    else:
        yield offset, _SAMPLE_BYTES
        yield offset + length - _SAMPLE_BYTES, _SAMPLE_BYTES


def checksum(blocks: Mapping[int, int], size: int) -> str | None:
    """Return the checksum of a file, from those of its blocks; None where some of these are missing."""
    if sorted(blocks) != list(range(0, size, _BLOCK_BYTES)):
        return None
    digest = xxhash.xxh3_64(size.to_bytes(8, "little"))
    for offset in sorted(blocks):
        digest.update(blocks[offset].to_bytes(8, "little"))
    return digest.hexdigest()


def boot_id() -> str | None:
    """Return an id that changes each time the machine starts; None where there is none."""
    return _BOOT.read_text() if _BOOT.exists() else None
