"""A script that goes through the case results one by one with msgspec's structs, which skip what is not needed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from benchmarks.peers.task import Task
from benchmarks.peers.writing import write

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_encode = msgspec.json.Encoder().encode
_encode_sorted = msgspec.json.Encoder(order="sorted").encode


class Block(Struct, gc=False):
    """A block of content; only text blocks have a text."""

    text: str = ""


class SourceCall(Struct, gc=False):
    """A tool call as recorded."""

    id: str
    name: str
    arguments: Any


class SourceMessage(Struct, gc=False):
    """The assistant's message as recorded."""

    content: list[Block]


class Result(Struct, gc=False):
    """A tool result."""

    tool_call_id: str
    content: list[Block]


class Turn(Struct, gc=False):
    """A turn."""

    turn_index: int
    assistant_message: SourceMessage
    tool_calls: list[SourceCall]


class TurnWithResults(Turn, gc=False):
    """A turn with what its calls returned."""

    tool_results: list[Result]


class Model(Struct, gc=False):
    """A model."""

    model_id: str


class Invocation(Struct, gc=False):
    """What the agent did."""

    turns: list[Turn]
    model: Model
    final_response: str | None


class InvocationWithResults(Struct, gc=False):
    """What the agent did and what its calls returned."""

    turns: list[TurnWithResults]
    model: Model
    final_response: str | None


class Score(Struct, gc=False):
    """What a metric gave."""

    value: float


class Metric(Struct, gc=False):
    """A metric."""

    score: Score


class Trace(Struct, gc=False):
    """A case result."""

    case_id: str
    invocation: Invocation
    metric_results: list[Metric]


class TraceWithResults(Struct, gc=False):
    """A case result with what the calls returned."""

    case_id: str
    invocation: InvocationWithResults
    metric_results: list[Metric]


class Document(Struct, gc=False):
    """A results document."""

    case_results: list[Trace]


class Case(Struct, gc=False):
    """A case of an eval set."""

    id: str
    system_prompt: str
    user_messages: list[str]


class EvalSet(Struct, gc=False):
    """An eval set."""

    cases: list[Case]


class Function(Struct, gc=False):
    """What a call calls."""

    name: str
    arguments: str


class Call(Struct, gc=False):
    """A tool call of a record."""

    id: str
    type: str
    function: Function


class Message(Struct, gc=False, omit_defaults=True):
    """A message of a record."""

    role: str
    content: str
    tool_calls: list[Call] | None = None
    tool_call_id: str | None = None
    name: str | None = None


class Metadata(Struct, gc=False):
    """Where a record comes from."""

    case_id: str
    score: float
    model_id: str
    turns: int


class Record(Struct, gc=False):
    """A conversation."""

    messages: list[Message]
    metadata: Metadata


class Pair(Struct, gc=False):
    """A preference pair."""

    case_id: str
    chosen: Record
    rejected: Record


@dataclass(slots=True)
class Runs:
    """The best and the worst run of a case so far."""

    highest: float
    best: Record
    lowest: float
    worst: Record
    count: int = 1


def _records(task: Task) -> Iterator[Record | Pair]:
    if task.record == "trl":
        eval_set = msgspec.json.decode(task.prompts.read_bytes(), type=EvalSet)
        cases = {case.id: case for case in eval_set.cases}
        decode = msgspec.json.Decoder(TraceWithResults).decode
        with task.source.open("rb") as lines:
            yield from (_trl(trace, cases[trace.case_id]) for trace in map(decode, lines))
        return
    traces = _traces(task)
    if task.threshold > 0:
        traces = (trace for trace in traces if _score(trace) >= task.threshold)
    yield from _pairs(traces) if task.record == "dpo" else map(_chatml, traces)


def _traces(task: Task) -> Iterator[Trace]:
    if task.source.is_dir():
        decode = msgspec.json.Decoder(Document).decode
        for document in task.documents:
            yield from decode(document.read_bytes()).case_results
        return
    with task.source.open("rb") as lines:
        yield from map(msgspec.json.Decoder(Trace).decode, lines)


def _score(trace: Trace | TraceWithResults) -> float:
    values = [metric.score.value for metric in trace.metric_results]
    return sum(values) / len(values) if values else 0.0


def _spoken(content: list[Block]) -> str:
    return "".join([block.text for block in content])


def _calls(calls: list[SourceCall], *, in_order: bool) -> list[Call] | None:
    encode = _encode_sorted if in_order else _encode
    return [Call(call.id, "function", Function(call.name, encode(call.arguments).decode())) for call in calls] or None


def _metadata(trace: Trace | TraceWithResults) -> Metadata:
    invocation = trace.invocation
    return Metadata(trace.case_id, _score(trace), invocation.model.model_id, len(invocation.turns))


def _finish(messages: list[Message], final: str) -> None:
    if messages[-1].role != "assistant":
        messages.append(Message("assistant", final))
    elif not messages[-1].content:
        messages[-1].content = final


def _chatml(trace: Trace) -> Record:
    messages = [Message("system", "")]
    for turn in trace.invocation.turns:
        if turn.turn_index == 0:
            messages.append(Message("user", ""))
        spoken = _spoken(turn.assistant_message.content)
        messages.append(Message("assistant", spoken, _calls(turn.tool_calls, in_order=True)))
    if trace.invocation.final_response is not None:
        _finish(messages, trace.invocation.final_response)
    return Record(messages, _metadata(trace))


def _trl(trace: TraceWithResults, case: Case) -> Record:
    messages = [Message("system", case.system_prompt)] if case.system_prompt else []
    messages += [Message("user", message) for message in case.user_messages]
    for turn in trace.invocation.turns:
        spoken = _spoken(turn.assistant_message.content)
        messages.append(Message("assistant", spoken, _calls(turn.tool_calls, in_order=False)))
        names = {call.id: call.name for call in turn.tool_calls}
        for result in turn.tool_results:
            identity = result.tool_call_id
            messages.append(Message("tool", _spoken(result.content), tool_call_id=identity, name=names.get(identity)))
    if trace.invocation.final_response:
        _finish(messages, trace.invocation.final_response)
    while messages[-1].role == "tool":
        messages.pop()
    return Record(messages, _metadata(trace))


def _pairs(traces: Iterable[Trace]) -> Iterator[Pair]:
    """Pair the first best with the last worst record of every case, holding these two."""
    cases: dict[str, Runs] = {}
    for trace in traces:
        score = _score(trace)
        runs = cases.get(trace.case_id)
        if runs is None:
            record = _chatml(trace)
            cases[trace.case_id] = Runs(score, record, score, record)
            continue
        runs.count += 1
        if score > runs.highest:
            runs.highest, runs.best = score, _chatml(trace)
        if score <= runs.lowest:
            runs.lowest, runs.worst = score, _chatml(trace)
    for case_id, runs in cases.items():
        if runs.count > 1:
            yield Pair(case_id, runs.best, runs.worst)


def _line(record: Record | Pair) -> bytes:
    return _encode(record) + b"\n"


def main() -> None:
    """Answer the question on the command line."""
    task = Task.from_command_line()
    records = _records(task)
    write(map(msgspec.to_builtins, records) if task.parquet else records, task, _line)


if __name__ == "__main__":
    main()
