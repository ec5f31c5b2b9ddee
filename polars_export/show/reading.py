"""Read what is to be shown, one conversation after the other, and no more of the sources than that takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from polars_export.errors import InputError, OptionError, SourceError
from polars_export.execution.read_options import read_options
from polars_export.inputs.decoders import Decoders
from polars_export.inputs.find import find_sources
from polars_export.inputs.reader import SourceReader
from polars_export.inputs.registry import check_input
from polars_export.prompts.eval_sets import read_prompts
from polars_export.prompts.find import eval_sets_of
from polars_export.prompts.join import SideInputs
from polars_export.prompts.tools import read_tools
from polars_export.show.from_tables import trace_at
from polars_export.show.records import (
    is_parquet,
    line_records,
    parquet_records,
    repository_shards,
    starts_with_record,
)
from polars_export.sources.find import FoundFile, raise_if_stream
from polars_export.sources.segments import Segment, raise_if_all_skipped, size_of
from polars_export.sources.stream import ByteStream, is_piped
from polars_export.sources.window import Window
from polars_export.tables.builder import TableBuilder
from polars_export.tables.projection import Projection

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from polars_export.errors import BadRecordError
    from polars_export.input_options import InputOptions
    from polars_export.inputs.decoding import Decoded
    from polars_export.show.transcript import Conversation
    from polars_export.sources.chunk import Chunk
    from polars_export.tables.tables import Tables

__all__ = ["ConversationReader"]


class ConversationReader:
    """One reading of some sources.

    Attributes:
        invalid: How many records were skipped because they are invalid.
        first_invalid: What is wrong with the first of them.
        skipped_files: Files that a search has met and that hold no traces, and what they hold.
    """

    def __init__(self, sources: Sequence[str], options: InputOptions) -> None:
        self._sources = sources
        self._options = options
        check_input(options.input)
        self._read_options = read_options(options)
        self._decoders, self._builder = Decoders(Projection.FULL), TableBuilder(Projection.FULL)
        self.invalid = 0
        self.first_invalid: str | None = None
        self.skipped_files: dict[str, str] = {}

    def conversations(self) -> Iterator[Conversation]:
        """Yield the conversations in the order of the sources.

        Raises:
            InputError: A source or a record cannot be used, and invalid ones are not skipped.
            OptionError: Prompts or tools are given for records, which have their own.
        """
        files = [(file, shards) for source in self._sources for file, shards in _files_of(source)]
        side_inputs = self._side_inputs()
        for number, (file, is_export) in enumerate(files):
            for item in self._tolerant(self._items(number, file, side_inputs, is_export=is_export)):
                if isinstance(item, InputError):
                    self._reject(item)
                else:
                    yield item
        raise_if_all_skipped(self.skipped_files, [file for file, _ in files])

    def _side_inputs(self) -> SideInputs | None:
        prompts = eval_sets_of(self._sources, self._options.prompts)
        tools = read_tools(self._options.tools) if self._options.tools else None
        return SideInputs(read_prompts(prompts), tools) if prompts or tools else None

    def _tolerant(self, items: Iterator[Conversation | InputError]) -> Iterator[Conversation | InputError]:
        """Yield items, and as the last one what is wrong with the source if it cannot be read on."""
        try:
            yield from items
        except InputError as error:
            yield error

    def _reject(self, error: InputError) -> None:
        if not self._options.skips:
            raise error
        self.invalid += 1
        self.first_invalid = self.first_invalid or str(error)

    def _items(
        self, number: int, file: FoundFile, side_inputs: SideInputs | None, *, is_export: bool
    ) -> Iterator[Conversation | InputError]:
        """Yield the conversations of a file; in the place of an invalid record, what is wrong with it."""
        if file.searched:
            raise_if_stream(file.path)
        with ByteStream(file.path) as stream:
            window = Window(stream, self._read_options.max_record_bytes)
            if not file.searched and (records := _records(window, is_export=is_export)) is not None:
                self._refuse_side_inputs(file.path)
                yield from records
                return
            reader = SourceReader(Segment(number, *file, size=size_of(file.path)), options=self._read_options)
            for match, chunk in reader.chunks_of(window):
                decoded = self._decoders.of(match).decode(chunk)
                self._builder.add(decoded.columns)
                tables = self._builder.build()
                yield from _in_order(side_inputs.attach(tables) if side_inputs else tables, decoded)
        if reader.skip_reason:
            self.skipped_files[file.path] = reader.skip_reason

    def _refuse_side_inputs(self, path: str) -> None:
        for option in ("prompts", "tools"):
            if getattr(self._options, option):
                raise OptionError(option, f"is for traces; {path} holds records of an export, which have their own")


def _files_of(source: str) -> Iterable[tuple[FoundFile, bool]]:
    """Yield the files of a source, and whether they are shards of a dataset repository."""
    if shards := repository_shards(source):
        return [(FoundFile(shard), True) for shard in shards]
    return [(file, False) for file in find_sources([source])]


def _records(window: Window, *, is_export: bool) -> Iterator[Conversation | BadRecordError] | None:
    """Return the records of a file; None where it holds none."""
    if is_parquet(window):
        if is_piped(window.source):
            raise SourceError(window.source, "Parquet cannot be read from a pipe; give a file")
        return parquet_records(window.source, is_export=is_export)
    return line_records(window) if is_export or starts_with_record(window) else None


def _in_order(tables: Tables, decoded: Decoded) -> Iterator[Conversation | InputError]:
    """Yield the traces of a chunk and what is wrong with its other records, in the order in which they stand there."""
    rejected = sorted(decoded.rejected, key=lambda record: record.position, reverse=True)
    for index, position in enumerate(decoded.chunk.positions):
        while rejected and rejected[-1].position < position:
            yield rejected.pop().error
        yield trace_at(tables, index, _place(decoded.chunk, index))
    yield from (record.error for record in reversed(rejected))


def _place(chunk: Chunk, index: int) -> str:
    line = chunk.line(index)
    return f"{chunk.source}: {chunk.json_path(index)}" if line is None else f"{chunk.source}:{line}"
