"""Break texts into rows that fit a terminal, measured in cells: East Asian characters and emoji take two."""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from polars_export.show.harmless import HARMFUL, escape, harmless

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Row", "cell_width", "unwrapped_rows", "wrapped_rows"]

_PIECE = 100
"""Characters of a row where nothing is wrapped: only what is folded is counted by them."""

_TAB = "    "
_MOST_MARKS = 8  # on one character: more would cover the lines around it
_JOINER, _EMOJI_STYLE, _KEYCAP = "\u200d", "\ufe0f", "\u20e3"
_JAMO = (range(0x1160, 0x1200), range(0xD7B0, 0xD800))  # vowels and finals, which join the consonant before them
_SKIN_TONES = range(0x1F3FB, 0x1F400)
_SIGNS = range(0x203C, 0x3300)  # arrows, hearts and their like, which are emoji if they are followed by that style
_MARKS = frozenset({"Mn", "Me", "Cf"})
_WIDE = 2


class Row(NamedTuple):
    """A row of a text.

    Attributes:
        text: What is shown.
        end: Where in the text it ends.
        continues: Whether it goes on with the line of the row before.
    """

    text: str
    end: int
    continues: bool


class _Cell(NamedTuple):
    """A character as it is shown; it joins the one before it where its width is 0."""

    start: int
    text: str
    width: int


def cell_width(text: str) -> int:
    """Return how many cells of a terminal a text of one line takes."""
    return sum(cell.width for cell in _cells(text, 0, len(text)))


def unwrapped_rows(text: str) -> Iterator[Row]:
    """Yield the lines of a text, a long one in pieces, whatever the terminal's width."""
    for start, end in _lines(text):
        for at in range(start, max(end, start + 1), _PIECE):
            stop = min(at + _PIECE, end)
            yield Row(harmless(text[at:stop]), stop, continues=at > start)


def wrapped_rows(text: str, width: int) -> Iterator[Row]:
    """Yield the rows of a text, broken at spaces or around wide characters where that is possible."""
    for start, end in _lines(text):
        at, continues = start, False
        while at < end or not continues:
            stop = min(end, at + width + 1)
            is_simple = text[at:stop].isascii() and text[at:stop].isprintable()
            shown, ended, following = (_simple_row if is_simple else _measured_row)(text, at, end, width)
            yield Row(shown, ended, continues)
            at, continues = following, True


def _lines(text: str) -> Iterator[tuple[int, int]]:
    """Yield where the lines of a text start and end; a newline at the very end begins none."""
    start = 0
    while start < len(text) or not start:
        newline = text.find("\n", start)
        end = newline if newline >= 0 else len(text)
        yield start, end - (newline > start and text[end - 1] == "\r")
        if newline < 0:
            return
        start = end + 1


def _simple_row(text: str, start: int, end: int, width: int) -> tuple[str, int, int]:
    """Return a row of printable ASCII, where it ends, and where the next one starts."""
    if end - start <= width:
        return text[start:end], end, end
    space = text.rfind(" ", start, start + width + 1)
    if space > start and not text[start:space].isspace():
        return text[start:space], space, space + 1
    return text[start : start + width], start + width, start + width


def _measured_row(text: str, start: int, end: int, width: int) -> tuple[str, int, int]:
    shown: list[str] = []
    used = 0
    broken: tuple[int, int, int] | None = None  # how much to show, where that ends, and where the next row starts
    was_wide = False
    for cell in _cells(text, start, end):
        is_space = cell.text == " "
        if shown and used <= width and cell.width and (is_space or cell.width == _WIDE or was_wide):
            broken = (len(shown), cell.start, cell.start + is_space)
        if used + cell.width > width and shown and cell.width:
            if broken and "".join(shown[: broken[0]]).strip():
                return "".join(shown[: broken[0]]), broken[1], broken[2]
            return "".join(shown), cell.start, cell.start
        shown.append(cell.text)
        used += cell.width
        was_wide = cell.width == _WIDE or (was_wide and not cell.width)
    return "".join(shown), end, end


def _cells(text: str, start: int, end: int) -> Iterator[_Cell]:
    """Yield the characters of a part of a text as they are shown."""
    before, marks = "", 0
    for at in range(start, end):
        character = text[at]
        shown, width = _TAB if character == "\t" else character, _width_at(text, at, before)
        if HARMFUL.match(character) or (not width and marks >= _MOST_MARKS):
            shown = escape(character)
            width = len(shown)
        marks = 0 if width else marks + 1
        before = character
        yield _Cell(at, shown, width)


def _width_at(text: str, at: int, before: str) -> int:
    """Return the cells of a character where it stands; 0 where it joins the one before it."""
    character, behind = text[at], text[at + 1 : at + 3]
    code, width = ord(character), _width(character)
    if before == _JOINER and (width == _WIDE or code in _SIGNS):
        return 0
    if code in _SKIN_TONES and before and _width(before) == _WIDE:
        return 0
    if behind[:1] == _EMOJI_STYLE and (code in _SIGNS or behind[1:] == _KEYCAP):
        return _WIDE
    return width


@lru_cache(maxsize=4096)
def _width(character: str) -> int:
    """Return the cells of a character on its own."""
    if character == "\t":
        return len(_TAB)
    if unicodedata.category(character) in _MARKS or any(ord(character) in jamo for jamo in _JAMO):
        return 0
    return _WIDE if unicodedata.east_asian_width(character) in {"W", "F"} else 1
