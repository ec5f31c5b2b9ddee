"""Check that contestants wrote the same records, in the same order, whatever their spelling."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from hashlib import blake2b
from itertools import islice, zip_longest
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any

import orjson
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

__all__ = ["DisagreementError", "Output", "check_agreement"]

DIGEST_BYTES = 16
BATCH_ROWS = 256  # rows of Parquet that are Python objects at a time
SHOWN_CHARACTERS = 300


@dataclass(frozen=True, slots=True)
class Output:
    """What a contestant wrote.

    Attributes:
        name: The contestant.
        files: JSON lines or Parquet files that hold its records, in their order.
        decimals: To how many decimals it writes numbers, None for all that they have.
    """

    name: str
    files: tuple[Path, ...]
    decimals: int | None = None


@dataclass
class DisagreementError(Exception):
    """Two contestants wrote different records.

    Attributes:
        names: The two contestants.
        record: The number of the first record that differs, from 0.
        place: Where in the record it differs.
        found: What the one and the other wrote there, None where one has no such record.
    """

    names: tuple[str, str]
    record: int
    place: str
    found: tuple[object, object]

    def __str__(self) -> str:
        """Say what differs in a few lines."""
        shown = [f"  {name}: {value!r}"[:SHOWN_CHARACTERS] for name, value in zip(self.names, self.found, strict=True)]
        return "\n".join([f"record {self.record} differs at {self.place}:", *shown])


def check_agreement(outputs: Sequence[Output]) -> int:
    """Compare what contestants wrote with what the first of them wrote; return the number of records.

    Only a hash of each record is held.

    Raises:
        DisagreementError: The first record of the first contestant that differs.
    """
    reference, *others = outputs
    roundings = {None, *(output.decimals for output in others)}
    tasks = [(reference.files, decimals) for decimals in roundings] + [(one.files, one.decimals) for one in others]
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        digests = list(pool.map(_digests, *zip(*tasks, strict=True)))
    expected = dict(zip(roundings, digests, strict=False))
    for other, found in zip(others, digests[len(roundings) :], strict=True):
        if found != expected[other.decimals]:
            pairs = zip_longest(expected[other.decimals], found)
            record = next(number for number, (one, two) in enumerate(pairs) if one != two)
            raise _disagreement(reference, other, record)
    return len(expected[None])


def _disagreement(reference: Output, other: Output, record: int) -> DisagreementError:
    sides = [next(islice(_records(output.files), record, None), None) for output in (reference, other)]
    one, two = (_meaning(side, other.decimals) for side in sides)
    place, *found = _first_difference(one, two, "$")
    return DisagreementError((reference.name, other.name), record, place, (found[0], found[1]))


def _digests(files: Sequence[Path], decimals: int | None) -> list[bytes]:
    return [blake2b(_text(_meaning(record, decimals)), digest_size=DIGEST_BYTES).digest() for record in _records(files)]


def _records(files: Iterable[Path]) -> Iterator[Any]:
    for path in files:
        if path.suffix == ".parquet":
            with pq.ParquetFile(path) as file:
                for batch in file.iter_batches(BATCH_ROWS):
                    yield from batch.to_pylist()
        else:
            with path.open("rb") as lines:
                yield from map(orjson.loads, lines)


def _meaning(value: object, decimals: int | None) -> object:
    """Return what a record says: keys that are null are absent, and arguments are JSON values instead of their text."""
    if isinstance(value, dict):
        return {
            key: _arguments(item) if key == "arguments" else _meaning(item, decimals)
            for key, item in value.items()
            if item is not None
        }
    if isinstance(value, list):
        return [_meaning(item, decimals) for item in value]
    return round(value, decimals) if isinstance(value, float) and decimals is not None else value


def _arguments(value: object) -> object:
    return orjson.loads(value) if isinstance(value, str) else value


def _text(value: object) -> bytes:
    """Return a text that is the same for equal values only: Python holds 1, 1.0 and true to be equal."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def _first_difference(one: object, two: object, place: str) -> tuple[str, object, object]:
    """Return the innermost place at which two values differ, and what stands there."""
    if isinstance(one, dict) and isinstance(two, dict) and one.keys() == two.keys():
        parts = [(one[key], two[key], f"{place}.{key}") for key in one]
    elif isinstance(one, list) and isinstance(two, list) and len(one) == len(two):
        parts = [(left, right, f"{place}[{i}]") for i, (left, right) in enumerate(zip(one, two, strict=True))]
    else:
        return place, one, two
    for left, right, inner in parts:
        if _text(left) != _text(right):
            return _first_difference(left, right, inner)
    return place, one, two
