"""What users would write instead: a script for each peer, answering `QUESTION INPUT OUTPUT` (see `task.py`)."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["PEERS", "Peer"]


@dataclass(frozen=True, slots=True)
class Peer:
    """A script, `NAME_script.py`, and what there is to know about it.

    Attributes:
        name: What it is called on the command line.
        title: What it is called in a table.
        package: The distribution whose version is named beside it, empty for the standard library.
        note: What is different about its records.
        lines_note: What is different about its JSON lines.
        parquet_note: What is different about its Parquet.
        decimals: To how many decimals it writes the numbers of JSON lines, None for all that they have.
        cannot: The questions that it has no way to answer.
    """

    name: str
    title: str
    package: str = ""
    note: str = ""
    lines_note: str = ""
    parquet_note: str = ""
    decimals: int | None = None
    cannot: frozenset[str] = frozenset()

    @property
    def module(self) -> str:
        """The module to run."""
        return f"{__name__}.{self.name}_script"

    def note_on(self, ending: str) -> str:
        """Return what is different about its files of an ending, empty where nothing is."""
        return "; ".join(filter(None, (self.note, self.lines_note if ending == "jsonl" else self.parquet_note)))


PEERS = (
    Peer(
        "duckdb", "DuckDB SQL", "duckdb", "arguments keep the order of their keys", "absent keys are written as nulls"
    ),
    Peer("msgspec", "script, msgspec structs", "msgspec"),
    Peer("orjson", "script, orjson", "orjson"),
    Peer("json", "script, standard library"),
    Peer(
        "polars",
        "Polars scan_ndjson",
        "polars",
        "arguments keep the order of their keys and their spacing",
        "absent keys are written as nulls",
        cannot=frozenset({"documents-parquet"}),
    ),
    Peer(
        "datasets",
        "Hugging Face datasets",
        "datasets",
        lines_note="absent keys are written as nulls, numbers with ten decimals at most",
        parquet_note="compressed with snappy, as `to_parquet` lets nobody choose, in content-defined chunks",
        decimals=10,
    ),
)
