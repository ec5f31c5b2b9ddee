"""Make the inputs of a comparison, in several processes, and keep them: the same bytes whatever their number."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from itertools import count, islice
from multiprocessing import get_context
from pathlib import Path
from shutil import rmtree
from typing import TYPE_CHECKING, TypeVar

import msgspec

from benchmarks import data

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["SHORT_TRACES_PER_PIECE", "Corpus", "read_through", "size_of", "traces_of"]

CASES_PER_PIECE = 50  # as many as a document of the sample holds
TRACES_PER_PIECE = CASES_PER_PIECE * data.RUNS_PER_CASE
SHORT_CASES_PER_PIECE = 250
SHORT_TRACES_PER_PIECE = SHORT_CASES_PER_PIECE * data.RUNS_PER_CASE
COPIED_BYTES = 1 << 24
RECIPE = blake2b(b"".join(Path(file).read_bytes() for file in (data.__file__, __file__)), digest_size=4).hexdigest()

RenderedBatch = TypeVar("RenderedBatch")


@dataclass(frozen=True, slots=True)
class Corpus:
    """The inputs in a directory; each is made when it is first asked for and found again by its size and seed.

    Attributes:
        folder: The directory.
        seed: Decides on every word.
        processes: How many make the inputs.
    """

    folder: Path
    seed: int
    processes: int

    def lines(self, size: int) -> Path:
        """Return case-result lines of at least so many bytes; a smaller file is the beginning of a larger one."""

        def make(path: Path) -> None:
            with path.open("wb") as file:
                for piece in self._pieces(_lines):
                    file.write(piece)
                    if file.tell() >= size:
                        return

        return self._kept(f"lines-{size}.jsonl", make)

    def short_lines(self, traces: int) -> Path:
        """Return lines of at least so many case results of one short turn."""

        def make(path: Path) -> None:
            pieces = -(-traces // SHORT_TRACES_PER_PIECE)
            with path.open("wb") as file:
                file.writelines(islice(self._pieces(_short_lines), pieces))

        return self._kept(f"short-{traces}.jsonl", make)

    def documents(self, size: int) -> Path:
        """Return a directory of pretty-printed results documents of at least so many bytes together."""

        def make(path: Path) -> None:
            path.mkdir()
            written = 0
            for number, document in enumerate(document for piece in self._pieces(_documents) for document in piece):
                written += (path / f"{number:06d}.json").write_bytes(document)
                if written >= size:
                    return

        return self._kept(f"documents-{size}", make)

    def prompts(self, lines: Path) -> Path:
        """Return an eval set with the prompts of every case of a file of lines."""
        cases = traces_of(lines) // data.RUNS_PER_CASE

        def make(path: Path) -> None:
            eval_set = {"id": "airline", "name": "prompts", "cases": list(islice(data.prompts(self.seed), cases))}
            path.write_bytes(msgspec.json.encode(eval_set))

        return self._kept(f"prompts-{cases}.json", make)

    def beginning(self, lines: Path, size: int) -> Path:
        """Return a file of the first lines of another, of at least so many bytes."""
        return self._kept(f"{lines.stem}-first-{size}.jsonl", partial(_copy, lines, 0, _line_end(lines, size)))

    def halves(self, lines: Path) -> tuple[Path, Path]:
        """Return two files with the first and the second half of the lines of another."""
        size = lines.stat().st_size
        middle = _line_end(lines, size // 2)
        return (
            self._kept(f"{lines.stem}-half-1.jsonl", partial(_copy, lines, 0, middle)),
            self._kept(f"{lines.stem}-half-2.jsonl", partial(_copy, lines, middle, size)),
        )

    def _kept(self, name: str, make: Callable[[Path], None]) -> Path:
        """Return a path, after making what stands there if nothing does; it appears when it is complete."""
        path = self.folder / f"{RECIPE}-{self.seed}" / name
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_name(f"{name}.part")
            if part.is_dir():
                rmtree(part)
            make(part)
            part.rename(path)
        return path

    def _pieces(self, make: Callable[[int, int], RenderedBatch]) -> Iterator[RenderedBatch]:
        """Make pieces without end, several at a time, and yield them in their order."""
        with ProcessPoolExecutor(self.processes, mp_context=get_context("spawn")) as pool:
            ahead = deque(pool.submit(make, self.seed, number) for number in range(2 * self.processes))
            for number in count(len(ahead)):
                yield ahead.popleft().result()
                ahead.append(pool.submit(make, self.seed, number))


def size_of(source: Path) -> int:
    """Return how many bytes a file or the files of a directory hold."""
    return sum(path.stat().st_size for path in (source.iterdir() if source.is_dir() else [source]))


def traces_of(source: Path) -> int:
    """Return how many traces a file of lines or a directory of documents holds."""
    if source.is_dir():
        return CASES_PER_PIECE * sum(1 for _ in source.iterdir())
    return read_through(source)


def read_through(source: Path) -> int:
    """Read an input once, so that all that read it later find it in memory; return the number of line feeds."""
    files = sorted(source.iterdir()) if source.is_dir() else [source]
    line_feeds = 0
    for path in files:
        with path.open("rb") as file:
            while block := file.read(COPIED_BYTES):
                line_feeds += block.count(b"\n")
    return line_feeds


def _lines(seed: int, number: int) -> bytes:
    traces = data.case_results(f"{seed}/{number}", number * CASES_PER_PIECE)
    return msgspec.json.Encoder().encode_lines(list(islice(traces, TRACES_PER_PIECE)))


def _short_lines(seed: int, number: int) -> bytes:
    traces = data.short_case_results(f"{seed}/{number}", number * SHORT_CASES_PER_PIECE)
    return msgspec.json.Encoder().encode_lines(list(islice(traces, SHORT_TRACES_PER_PIECE)))


def _documents(seed: int, number: int) -> list[bytes]:
    """Return one document for the first runs of some cases, one for the second ones, and so on."""
    traces = list(islice(data.case_results(f"{seed}/{number}", number * CASES_PER_PIECE), TRACES_PER_PIECE))
    runs = [traces[run :: data.RUNS_PER_CASE] for run in range(data.RUNS_PER_CASE)]
    documents = [{"eval_set_id": "airline", "case_results": cases, "timestamp": 0} for cases in runs]
    return [msgspec.json.format(msgspec.json.encode(document), indent=2) for document in documents]


def _line_end(path: Path, place: int) -> int:
    """Return where the line ends that has the byte at a place."""
    with path.open("rb") as file:
        file.seek(max(0, place - 1))
        file.readline()
        return file.tell()


def _copy(source: Path, start: int, end: int, target: Path) -> None:
    with source.open("rb") as read, target.open("wb") as write:
        read.seek(start)
        while block := read.read(min(COPIED_BYTES, end - read.tell())):
            write.write(block)
