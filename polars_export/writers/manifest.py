"""The manifest: what a program reads of an export beside its data."""

from __future__ import annotations

import importlib.metadata
import json
from dataclasses import asdict
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from polars_export.writers.dataset_repository import Shard

__all__ = ["ManifestFile", "SideInputFiles", "as_read_back", "options_of_tables", "render_manifest", "versions"]

_PACKAGES = ("polars-export", "polars", "pyarrow", "msgspec")


class ManifestFile(NamedTuple):
    """A file that was read: its path, its bytes as they are stored, and a checksum; both null where it was piped."""

    path: str
    bytes: int | None
    checksum: str | None


class SideInputFiles(NamedTuple):
    """The files that are read beside the traces; the checksums are SHA-256 of their contents."""

    prompts: Sequence[ManifestFile] = ()
    tools: ManifestFile | None = None


def render_manifest(  # noqa: PLR0913 - one parameter per part
    *,
    sources: Iterable[ManifestFile],
    source_checksum: str,
    side_inputs: SideInputFiles,
    options: Mapping[str, object],
    counts: Mapping[str, int | Mapping[str, object]],
    shards: Sequence[Shard],
    timings: Mapping[str, float],
) -> str:
    """Return `manifest.json`: the same text for the same export but for `timings`, which stand at its end.

    The checksums of sources are of the kind `source_checksum`. Timings are seconds. What is no text in a path becomes a
    question mark, because JSON has no bytes.
    """
    manifest = {
        "versions": versions(),
        "options": dict(sorted(options.items())),
        "source_checksum": source_checksum,
        "sources": [file._asdict() for file in sources],
        "prompts": [_with_sha256(file) for file in side_inputs.prompts],
        "tools": _with_sha256(side_inputs.tools) if side_inputs.tools else None,
        "counts": {name: _by_name(count) for name, count in sorted(counts.items())},
        "shards": [asdict(shard) for shard in shards],
        "timings": {name: round(seconds, 3) for name, seconds in sorted(timings.items())},
    }
    return _json(manifest)


_OF_TABLES = ("file_type", "input", "map", "max_record_bytes", "max_shard_bytes", "on_error", "prompts", "tools")


def options_of_tables(options: Mapping[str, object]) -> dict[str, object]:
    """Return the options that decide on stored tables."""
    return {name: options[name] for name in _OF_TABLES if name in options}


def as_read_back(options: Mapping[str, object], side_inputs: SideInputFiles) -> dict[str, Any]:
    """Return parts of a manifest as they are once it is read again: options, prompts and tools."""
    manifest = {
        "options": dict(sorted(options.items())),
        "prompts": [_with_sha256(file) for file in side_inputs.prompts],
        "tools": _with_sha256(side_inputs.tools) if side_inputs.tools else None,
    }
    read: dict[str, Any] = json.loads(_json(manifest))
    return read


def _with_sha256(file: ManifestFile) -> dict[str, object]:
    return {"path": file.path, "bytes": file.bytes, "sha256": file.checksum}


@cache
def versions() -> dict[str, str | None]:
    """Return the versions of what decides on the bytes of an output, None where one is run from its source."""
    return {name.replace("-", "_"): _version(name) for name in _PACKAGES}


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:  # run from its source
        return None


def _by_name(count: int | Mapping[str, object]) -> int | dict[str, object]:
    return count if isinstance(count, int) else dict(sorted(count.items()))


def _json(value: object) -> str:
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False, default=str)
    return text.encode(errors="replace").decode() + "\n"
