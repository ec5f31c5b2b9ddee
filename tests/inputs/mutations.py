"""Valid files of recorders, damaged at random: an export of them ends with an account that adds up, or in one line."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import polars_export as pe

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["export_mutations"]

PIECES = [
    b"null",
    b"\\u0000",
    b'[{"a":1}]',
    b"18446744073709551616",
    b"{}",
    b"[]",
    b'"x"',
    b"7",
    b"NaN",
    b"true",
    b'{"role":"robot"}',
    b"[[]]",
    b"-1e400",
    b"\xff",
    b"\\u0000",
]


def export_mutations(valid: bytes, path: Path, count: int, *, seed: int = 0) -> None:
    """Export mutations of a file one after the other, into `path`'s folder; the file keeps its name."""
    draw = random.Random(seed)  # noqa: S311 - not for secrets
    options = pe.ExportOptions("chatml", target="trl", missing_prompt="keep", on_error="skip", workers=1)
    output = path.with_name("mutated.jsonl")
    for _ in range(count):
        path.write_bytes(_mutated(valid, draw))
        try:
            report = pe.export(path, output, options)
        except pe.ExportError as error:
            assert "\n" not in str(error), error  # noqa: PT017 - one of many
            continue
        assert report.traces_read == report.exported + sum(report.dropped.values())
        output.unlink()


def _mutated(valid: bytes, draw: random.Random) -> bytes:
    data = bytearray(valid)
    for _ in range(draw.choice([1, 1, 2, 5])):
        start = draw.randrange(len(data) + 1)
        match draw.randrange(6):
            case 0:
                del data[start : start + draw.choice([1, 3, 20, 500])]
            case 1:
                data[start:start] = draw.choice(PIECES)
            case 2:
                del data[start:]
            case 3:
                data[start : start + 1] = bytes([draw.randrange(256)])
            case 4:
                piece = data[start : start + draw.choice([5, 50, 500])]
                data[start:start] = piece
            case _:
                _replace_value(data, start, draw)
    return bytes(data)


def _replace_value(data: bytearray, start: int, draw: random.Random) -> None:
    """Replace what stands between a colon and the next comma or bracket, so that the JSON mostly stays valid."""
    colon = data.find(b":", start)
    ends = [end for mark in (b",", b"}", b"]") if (end := data.find(mark, colon)) >= 0]
    if colon >= 0 and ends:
        data[colon + 1 : min(ends)] = draw.choice(PIECES)
