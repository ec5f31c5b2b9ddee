"""Markdown and YAML for dataset cards. Any text may come from the input: none of it is taken for markup."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import yaml

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "bullets",
    "cell",
    "code_span",
    "escaped",
    "heading",
    "longest_backticks",
    "printable",
    "python_block",
    "size_category",
    "yaml_text",
]

_SIZES = (
    (10**3, "n<1K"),
    (10**4, "1K<n<10K"),
    (10**5, "10K<n<100K"),
    (10**6, "100K<n<1M"),
    (10**7, "1M<n<10M"),
    (10**8, "10M<n<100M"),
    (10**9, "100M<n<1B"),
)
"""The hub's size categories, each with the number of records that it ends before."""

_LISTED = 20  # names in a list before the rest is only counted
_NAME = 120  # characters of a name
_HARMLESS = re.compile(r"[A-Za-z0-9]+([ _-]?[A-Za-z0-9]+)*")
_MARKUP = re.compile(r"([!#$&*+\-/:<>@\[\\\]^_`{|}~])")


def size_category(rows: int) -> str:
    """Return the hub's name for the size of a dataset."""
    return next((name for end, name in _SIZES if rows < end), "n>1B")


def yaml_text(value: object) -> str:
    """Return a value in YAML's block style, which diffs and people read best."""
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=False, width=1_000)


def python_block(*lines: str) -> str:
    """Return lines of Python as a fenced block."""
    return "\n".join(["```python", *lines, "```"])


def bullets(items: Sequence[str]) -> str:
    """Return items as a list; of many only the first, and how many more there are."""
    rest = [f"and {len(items) - _LISTED:,} more"] if len(items) > _LISTED else []
    return "\n".join(f"- {item}" for item in [*items[:_LISTED], *rest])


def heading(text: str) -> str:
    """Return a text for a heading: as it is where nothing in it can be markup, else as a code span."""
    return text if _HARMLESS.fullmatch(text) and len(text) <= _NAME else code_span(text)


def code_span(text: str) -> str:
    """Return a text as a code span, in which nothing is markup; its fence is longer than any inside it."""
    shown = printable(text)
    shown = (shown if len(shown) <= _NAME else f"{shown[:_NAME]}…") or " "
    fence = "`" * (longest_backticks(shown) + 1)
    space = " " if shown.startswith(("`", " ")) or shown.endswith(("`", " ")) else ""
    return f"{fence}{space}{shown}{space}{fence}"


def cell(text: str) -> str:
    """Return a text for a cell of a table, which a bar would end even in a code span."""
    return code_span(text.replace("|", "¦"))


def escaped(text: str) -> str:
    """Return a text in which nothing is markup."""
    return _MARKUP.sub(r"\\\1", printable(text))


def printable(text: str, keep: str = "") -> str:
    """Return a text whose line breaks, control characters and changes of direction are spelt out."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() or character in keep else character.encode("unicode_escape").decode()
        for character in text
    )


def longest_backticks(text: str) -> int:
    """Return the length of the longest run of backticks."""
    return max(map(len, re.findall("`+", text)), default=0)
