"""How sources are read: the options that reading and exporting have in common."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Self

from polars_export.choices import OnError
from polars_export.errors import OptionError
from polars_export.mapping import mapping_of
from polars_export.option_values import byte_size, member_of, optional, path, paths, text, whole_number

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable

    from polars_export.mapping import MappingSource, RowMapping
    from polars_export.option_values import Parse

__all__ = ["PARSERS", "InputOptions"]

PARSERS: dict[str, Parse] = {
    "map": mapping_of,
    "input": optional(text),
    "prompts": paths,
    "tools": optional(path),
    "on_error": member_of(OnError),
    "max_record_bytes": byte_size,
    "workers": whole_number,
}
"""What checks the value of each of them."""


@dataclass(frozen=True, slots=True, init=False)
class InputOptions:
    """How sources are read.

    Attributes:
        map: Which field of a row is what, of sources that are message rows: as in a TOML file, the path of one, texts
            `KEY=PATH`, or a function that makes a row with `messages` of a row; None to recognise it.
        input: The kind of input that the sources are; None to recognise each.
        prompts: Eval sets with the system prompts and user messages of the cases: files, directories, globs.
        tools: File with the function schemas of the tools that the agent could call.
        on_error: How to handle invalid records.
        max_record_bytes: Maximum size of a record that is read, in bytes of its JSON; `256MB` is accepted.
        workers: Number of processes for a large export, 0 for one on every processor. It changes no byte.

    Raises:
        OptionError: A value cannot be used.
    """

    map: RowMapping | None
    input: str | None
    prompts: tuple[str, ...]
    tools: str | None
    on_error: OnError
    max_record_bytes: int
    workers: int

    def __init__(  # noqa: PLR0913 - they are the options
        self,
        *,
        map: MappingSource | None = None,  # noqa: A002 - named as on the command line
        input: str | None = None,  # noqa: A002 - as above
        prompts: str | os.PathLike[str] | Iterable[str | os.PathLike[str]] = (),
        tools: str | os.PathLike[str] | None = None,
        on_error: OnError | str = OnError.FAIL,
        max_record_bytes: int | str = "256MB",
        workers: int = 0,
    ) -> None:
        given = dict(locals())
        for name, parse in PARSERS.items():
            object.__setattr__(self, name, parse(name, given[name]))  # the dataclass is frozen

    @classmethod
    def or_default(cls, options: Self | None) -> Self:
        """Return options, or the default ones for None.

        Raises:
            OptionError: They are something else.
        """
        if options is None:
            return cls()
        if not isinstance(options, cls):
            raise OptionError("options", f"expected {cls.__name__}, found {options!r}")
        return options

    @property
    def skips(self) -> bool:
        """Whether invalid records are skipped."""
        return self.on_error is OnError.SKIP

    def as_fields(self) -> dict[str, Any]:
        """Return the options by their names."""
        return {item.name: getattr(self, item.name) for item in fields(self)}
