"""Make texts harmless to a terminal: nothing in them moves the cursor, changes colours or the order of what is read."""

from __future__ import annotations

import re

__all__ = ["HARMFUL", "escape", "harmless", "one_line"]

HARMFUL = re.compile(
    "["
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters but for tabs and newlines
    "\u00ad\u061c\u200b\u200e\u200f\u2060-\u206f\ufeff\ufff9-\ufffb"  # invisible, or of the direction of writing
    "\u2028-\u202e"  # separators of lines, and the rest of the direction
    "\ud800-\udfff"  # halves of characters, which cannot be written
    "\U000e0000-\U000e007f"  # tags: text that nobody sees
    "]"
)
"""Characters that are shown as escapes. Joiners of emoji and of Persian letters are none of them."""

_BREAKS = re.compile(r"[\t\n]")


def escape(character: str) -> str:
    r"""Return how a character is shown that is harmful or has no place, such as `\x1b`."""
    return character.encode("unicode_escape").decode()


def harmless(text: str) -> str:
    """Return a text whose harmful characters are escapes; tabs and newlines stay."""
    return HARMFUL.sub(lambda found: escape(found[0]), text)


def one_line(text: str) -> str:
    """Return a harmless text in which tabs and newlines are escapes too."""
    return _BREAKS.sub(lambda found: escape(found[0]), harmless(text))
