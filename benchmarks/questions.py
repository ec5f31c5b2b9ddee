"""The questions that compare this project with its peers, and what a question is made of."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from benchmarks.peers import PEERS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from benchmarks.corpus import Corpus
    from benchmarks.peers import Peer

__all__ = [
    "AGAINST_PEERS",
    "CHATML",
    "DPO",
    "PROJECT",
    "Command",
    "Contestant",
    "Question",
    "Setting",
    "Summary",
    "polars_export",
    "script",
]

PROJECT = "polars-export"
ALL = "polars-export, all traces"
CHATML = ("--format", "chatml")
DPO = ("--format", "dpo")
DOCUMENTS_SHARE = 4  # of the size asked for: pretty-printed documents are the smaller part of what people have
FEW = 0.84175
"""A threshold that 5 % of the traces reach: the mean of two even numbers from 0 to 1 exceeds it with a probability of
2 * (1 - 0.84175) ** 2. No score is so close to it that rounding it to single precision, as the target `reference` asks,
makes a difference."""

Command = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Summary:
    """The runs of a contestant.

    Attributes:
        seconds: Wall time, ascending.
        processor_seconds: The median.
        peak_bytes: The median of the most memory that its processes held together.
    """

    seconds: tuple[float, ...]
    processor_seconds: float
    peak_bytes: int

    @property
    def median(self) -> float:
        """The middle wall time, of an even number the mean of the two."""
        middle = len(self.seconds) // 2
        return (self.seconds[middle] + self.seconds[~middle]) / 2


@dataclass(frozen=True, slots=True)
class Contestant:
    """One row of a question's table.

    Attributes:
        name: What it is.
        commands: Started at the same time; the run ends with the last of them.
        files: What the commands write; removed before each run.
        package: The distribution whose version is named beside it.
        note: What is different about it.
        compared: Whether its records are to be those of the first contestant.
        decimals: To how many decimals it writes numbers, None for all that they have.
        may_rest: Whether it runs fewer rounds where it is slow.
    """

    name: str
    commands: tuple[Command, ...]
    files: tuple[Path, ...] = ()
    package: str = ""
    note: str = ""
    compared: bool = False
    decimals: int | None = None
    may_rest: bool = False


@dataclass(frozen=True, slots=True)
class Question:
    """What is measured in one go.

    Attributes:
        name: What it is called on the command line.
        asks: What it is about, in a sentence.
        inputs: The files and directories that are read.
        contestants: Ratios are to the first of them.
        remarks: Says what follows from the summaries, by contestant.
    """

    name: str
    asks: str
    inputs: tuple[Path, ...]
    contestants: tuple[Contestant, ...]
    remarks: Callable[[Mapping[str, Summary]], list[str]] = lambda _: []


@dataclass(frozen=True, slots=True)
class Setting:
    """What all questions of a run share.

    Attributes:
        corpus: Makes the inputs.
        folder: Where the contestants write.
        size: Bytes of lines.
        workers: Processes of this project.
        peers: The names of the peers that take part.
    """

    corpus: Corpus
    folder: Path
    size: int
    workers: int
    peers: frozenset[str]

    def output(self, question: str, contestant: str, ending: str) -> Path:
        """Return where a contestant writes."""
        name = contestant.replace(",", "").replace(" ", "-")
        return self.folder / f"{question}-{name}.{ending}"


def script(module: str, *arguments: str | Path) -> Command:
    """Return the command that runs a module of this repository."""
    return (sys.executable, "-m", module, *map(str, arguments))


def polars_export(source: Path, output: Path, workers: int, *options: str) -> Command:
    """Return the command that exports."""
    return script("polars_export", "export", source, *options, "--output", output, "--workers", str(workers), "--quiet")


def _chatml_lines(setting: Setting) -> Question:
    asks = "Case-result lines to ChatML as JSON lines, target `reference`."
    return _Export("chatml-lines", asks, setting.corpus.lines(setting.size), "jsonl", CHATML).question(setting)


def _chatml_parquet(setting: Setting) -> Question:
    asks = "Case-result lines to ChatML as Parquet, target `reference`."
    return _Export("chatml-parquet", asks, setting.corpus.lines(setting.size), "parquet", CHATML).question(setting)


def _dpo_lines(setting: Setting) -> Question:
    asks = "Case-result lines to the best and the worst run of every case as JSON lines, target `reference`."
    return _Export("dpo-lines", asks, setting.corpus.lines(setting.size), "jsonl", DPO).question(setting)


def _documents_parquet(setting: Setting) -> Question:
    asks = "Pretty-printed results documents of 50 cases each to ChatML as Parquet, target `reference`."
    documents = setting.corpus.documents(setting.size // DOCUMENTS_SHARE)
    return _Export("documents-parquet", asks, documents, "parquet", CHATML).question(setting)


def _trl_prompts(setting: Setting) -> Question:
    asks = "Case-result lines and an eval set with the prompts of every case to ChatML as Parquet, target `trl`."
    lines = setting.corpus.lines(setting.size)
    prompts = setting.corpus.prompts(lines)
    given = ("--prompts", str(prompts))
    question = _Export("trl-prompts", asks, lines, "parquet", (*CHATML, "--target", "trl", *given), given)
    return replace(question.question(setting), inputs=(lines, prompts))


def _threshold(setting: Setting) -> Question:
    asks = f"The traces whose score reaches {FEW}, 5 % of them, to ChatML as JSON lines, target `reference`."
    lines = setting.corpus.lines(setting.size)
    options = (*CHATML, "--quality-threshold", str(FEW))
    question = _Export("threshold", asks, lines, "jsonl", options, ("--threshold", str(FEW))).question(setting)
    output = setting.output("threshold", ALL, "jsonl")
    everything = Contestant(ALL, (polars_export(lines, output, setting.workers, *CHATML),), (output,), PROJECT)

    def remarks(summaries: Mapping[str, Summary]) -> list[str]:
        ratio = summaries[ALL].median / summaries[PROJECT].median
        return [f"With the threshold, polars-export is {ratio:.2f} times as fast as when it exports all traces."]

    first, *others = question.contestants
    return replace(question, contestants=(first, everything, *others), remarks=remarks)


@dataclass(frozen=True, slots=True)
class _Export:
    """What this project and its peers are to do alike.

    Attributes:
        name: The question.
        asks: The question, as a sentence.
        source: What is read.
        ending: What is written, `jsonl` or `parquet`.
        options: Those of this project.
        peer_options: Those of the peers.
    """

    name: str
    asks: str
    source: Path
    ending: str
    options: Command
    peer_options: Command = ()

    def question(self, setting: Setting) -> Question:
        """Return the question, with those peers that can answer it."""
        output = setting.output(self.name, PROJECT, self.ending)
        command = polars_export(self.source, output, setting.workers, *self.options)
        first = Contestant(PROJECT, (command,), (output,), PROJECT, compared=True)
        peers = [peer for peer in PEERS if peer.name in setting.peers and self.name not in peer.cannot]
        contestants = (first, *(self._contestant(setting, peer) for peer in peers))
        return Question(self.name, self.asks, (self.source,), contestants)

    def _contestant(self, setting: Setting, peer: Peer) -> Contestant:
        output = setting.output(self.name, peer.name, self.ending)
        return Contestant(
            peer.title,
            (script(peer.module, self.name, self.source, output, *self.peer_options),),
            (output,),
            peer.package,
            peer.note_on(self.ending),
            compared=True,
            decimals=peer.decimals if self.ending == "jsonl" else None,
            may_rest=True,
        )


AGAINST_PEERS: dict[str, Callable[[Setting], Question]] = {
    "chatml-lines": _chatml_lines,
    "chatml-parquet": _chatml_parquet,
    "dpo-lines": _dpo_lines,
    "documents-parquet": _documents_parquet,
    "trl-prompts": _trl_prompts,
    "threshold": _threshold,
}
