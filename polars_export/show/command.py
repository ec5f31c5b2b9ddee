"""Show conversations on standard output."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

from polars_export.input_options import InputOptions
from polars_export.show.harmless import one_line
from polars_export.show.layout import NOTE, Layout, Span
from polars_export.show.reading import ConversationReader
from polars_export.show.screen import open_screen

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from polars_export.show.layout import Line

__all__ = ["ShowOptions", "show"]

_NAMED_FILES = 10


@dataclass(frozen=True, slots=True)
class ShowOptions:
    """What is shown, and how.

    Attributes:
        input: How the sources are read.
        limit: How many conversations are shown at most.
        full: Whether long texts are shown whole.
    """

    input: InputOptions = field(default_factory=InputOptions)
    limit: int = 10
    full: bool = False


def show(sources: Sequence[str], options: ShowOptions) -> None:
    """Show the conversations of some sources, and in the last line how many these are.

    Raises:
        InputError: A source or a record cannot be used; what stands before it has been shown.
        OptionError: An option has a value that cannot be used.
        OutputError: Standard output cannot be written to.
    """
    reader = ConversationReader(sources, options.input)
    with open_screen() as screen:
        layout = Layout(screen.width, full=options.full)
        conversations = reader.conversations()
        shown = 0
        for conversation in islice(conversations, options.limit):
            shown += 1
            screen.write(layout.conversation(conversation, shown))
        screen.write(_closing(layout, reader, shown, options.limit))


def _closing(layout: Layout, reader: ConversationReader, shown: int, limit: int) -> Iterator[Line]:
    files = list(reader.skipped_files.items())
    for path, problem in files[:_NAMED_FILES]:
        yield (Span(f"skipped {one_line(path)}: {one_line(problem)}", NOTE),)
    if (more := len(files) - _NAMED_FILES) > 0:
        yield (Span(f"skipped {more:,} more files without traces", NOTE),)
    if reader.invalid:
        first = one_line(reader.first_invalid or "")
        yield (Span(f"skipped {reader.invalid:,} invalid records, the first: {first}", NOTE),)
    noun = "conversation" if shown == 1 else "conversations"
    hint = f"; --limit {2 * limit} shows more, if there are any" if shown == limit else ""
    yield from layout.heading(f"{shown:,} {noun} shown{hint}")
