"""Checksums of sources come from samples at fixed places, so that neither parts nor workers decide on them."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import pytest
import xxhash

import polars_export as pe
from polars_export.sources import fingerprint, segments
from polars_export.sources.fingerprint import CHECKSUM_KIND, block_checksums, checksum, content_sha256
from tests.builders import case_result, turn, write_document, write_lines

if TYPE_CHECKING:
    from pathlib import Path

SAMPLE = 64 << 10


def plain_checksum(data: bytes) -> str:
    """Make the checksum of a file in plain Python."""
    digest = xxhash.xxh3_64(len(data).to_bytes(8, "little"))
    for start in range(0, len(data), fingerprint._BLOCK_BYTES):  # noqa: SLF001 - tests make it smaller
        block = data[start : start + fingerprint._BLOCK_BYTES]  # noqa: SLF001 - as above
        samples = block if len(block) <= 2 * SAMPLE else block[:SAMPLE] + block[-SAMPLE:]
        digest.update(xxhash.xxh3_64_intdigest(samples).to_bytes(8, "little"))
    return digest.hexdigest()


@pytest.mark.parametrize("size", [0, 1, SAMPLE, 2 * SAMPLE, 2 * SAMPLE + 1, 300_000, 400_000, 1_000_003])
def test_a_checksum_is_that_of_the_samples(size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fingerprint, "_BLOCK_BYTES", 200_000)
    file = tmp_path / "data"
    file.write_bytes(bytes(number * 7 % 251 for number in range(size)))
    for part_bytes in (1_000_000_000, 200_000, 70_001):
        blocks: dict[int, int] = {}
        for start in range(0, size, part_bytes):
            part = segments.Segment(0, str(file), start=start, size=min(part_bytes, size - start), file_size=size)
            blocks |= block_checksums(part)
        assert checksum(blocks, size) == plain_checksum(file.read_bytes())


def test_blocks_of_which_one_is_missing_make_no_checksum() -> None:
    block = 32 << 20
    assert "32 MiB" in CHECKSUM_KIND
    assert checksum({0: 1, block: 2}, block + 1) is not None
    assert checksum({0: 1}, block + 1) is None
    assert checksum({block: 1}, block + 1) is None


@pytest.mark.parametrize("format_name", ["chatml", "dpo"])
def test_the_manifest_has_the_checksums_of_all_that_was_read(
    format_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segments, "PART_BYTES", 150_000)
    traces = [case_result(f"case {n % 40}", turn(f"{n} " * 900), scores=[n / 400]) for n in range(200)]
    lines = write_lines(tmp_path / "runs.jsonl", *traces)
    document = write_document(tmp_path / "run.json", *traces[:100])
    prompts, tools = tmp_path / "set.json", tmp_path / "tools.json"
    cases = [{"id": f"case {n}", "user_messages": ["Hi."]} for n in range(40)]
    prompts.write_text(json.dumps({"id": "set", "cases": cases}), encoding="utf-8")
    tools.write_text("[]", encoding="utf-8")
    options = pe.ExportOptions(format_name, target="trl", prompts=prompts, tools=tools)
    pe.export([lines, document], tmp_path / "out", options)
    manifest = json.loads((tmp_path / "out/manifest.json").read_text(encoding="utf-8"))
    assert manifest["source_checksum"] == CHECKSUM_KIND
    assert manifest["sources"] == [
        {"path": str(file), "bytes": file.stat().st_size, "checksum": plain_checksum(file.read_bytes())}
        for file in (lines, document)
    ]
    assert manifest["prompts"] == [described(prompts)]
    assert manifest["tools"] == described(tools)


def described(file: Path) -> dict[str, object]:
    data = file.read_bytes()
    return {"path": str(file), "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def test_a_file_that_cannot_be_read_again_has_no_content_to_tell(tmp_path: Path) -> None:
    assert content_sha256(str(tmp_path / "none")) is None
