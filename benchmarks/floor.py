"""Decode a file of lines and do nothing else: what no export that decodes with msgspec can be faster than."""

from __future__ import annotations

import gc
import sys
from pathlib import Path

from msgspec.json import Decoder

from polars_export.inputs.eval_results.records import Trace

__all__ = ["decode"]

READ_BYTES = 2_000_000  # what still stays in the processor's cache


def decode(source: Path) -> int:
    """Decode all traces, a few megabytes at a time; return their number."""
    gc.disable()  # records hold no cycles
    decode_lines = Decoder(Trace).decode_lines
    buffer = bytearray(READ_BYTES)
    held = traces = 0  # bytes of a line that is not complete, at the beginning of the buffer
    with source.open("rb", buffering=0) as file:
        while read := file.readinto(memoryview(buffer)[held:]):
            end = buffer.rfind(b"\n", 0, held + read) + 1
            traces += len(decode_lines(memoryview(buffer)[:end]))
            rest = buffer[end : held + read]
            held = len(rest)
            buffer[:held] = rest
            if held == len(buffer):
                buffer.extend(bytes(len(buffer)))
    return traces


if __name__ == "__main__":
    decode(Path(sys.argv[1]))
