"""What makes two traces runs of one case, as a few bytes."""

from __future__ import annotations

import hashlib

__all__ = ["case_hash"]


def case_hash(case: tuple[str | None, str], size: int, seed: int = 0) -> bytes:
    """Return bytes that are the same for the runs of a case (its eval set, None on lines that name none, and its id).

    They are attach_prompts evenly over the cases, and nobody can find two cases with the same sixteen of them.
    """
    parts = ("" if part is None else "+" + part.replace("\0", "\0\0") for part in case)
    text = "\0".join([str(seed), *parts])
    return hashlib.blake2b(text.encode(), digest_size=size).digest()
