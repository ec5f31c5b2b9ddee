"""Logs of Inspect, read as its own reader reads them; among them logs that it has written in the test."""

from __future__ import annotations

import importlib
import json
import math
import shutil
import zipfile
from typing import TYPE_CHECKING

import pytest

import polars_export as pe
from tests.inputs.real_files import real_file

if TYPE_CHECKING:
    from pathlib import Path

    from tests.acceptance.conftest import Foreign
    from tests.builders import Json

pytestmark = [pytest.mark.acceptance, pytest.mark.filterwarnings("default")]


@pytest.fixture(scope="module")
def inspect_ai() -> Foreign:
    importlib.import_module("inspect_ai.log")
    return importlib.import_module("inspect_ai")


def spoken(tables: pe.Tables) -> list[list[Json]]:
    """Return the messages of every trace as the tables have them."""
    traces = []
    turns = iter(tables.turns.to_dicts())
    for trace in tables.traces.to_dicts():
        messages: list[Json] = []
        for turn in (next(turns) for _ in range(trace["turns"])):
            messages += [{"role": each["role"], "text": each["content"]} for each in turn["preceding"]]
            calls = [(call["id"], call["name"], json.loads(call["arguments"])) for call in turn["tool_calls"]]
            messages.append({"role": "assistant", "text": turn["text"], "calls": calls})
            messages += [
                {"role": "tool", "text": each["text"], "id": each["tool_call_id"]} for each in turn["tool_results"]
            ]
        messages += [{"role": each["role"], "text": each["content"]} for each in trace["closing"]]
        traces.append(messages)
    return traces


def read_by_inspect(inspect_ai: Foreign, path: Path) -> list[tuple[Json, list[Json], list[Json] | None]]:
    """Return what its own reader gives of each sample: what the trace says, its messages and its tools."""
    log = inspect_ai.log.read_eval_log(str(path), resolve_attachments=True)
    to_float = inspect_ai.scorer.value_to_float()
    samples = []
    for sample in log.samples:
        scores = {}
        for name, score in (sample.scores or {}).items():
            values = score.value.items() if isinstance(score.value, dict) else [(None, score.value)]
            for key, value in values:
                if not isinstance(value, list) and not (isinstance(value, float) and math.isnan(value)):
                    scores[name if key is None else f"{name}.{key}"] = to_float(value)
        known = {"case": str(sample.id), "run": f"{log.eval.eval_id}/{sample.epoch}", "scores": scores}
        models = (event for event in sample.events if event.event == "model" and event.tools)
        first = next(models, None)
        tools = [tool.model_dump(exclude_none=True) for tool in first.tools] if first else None
        samples.append((known, [message_of(message) for message in sample.messages], tools))
    return samples


def message_of(message: Foreign) -> Json:
    if message.role == "assistant":
        calls = [(call.id, call.function, call.arguments) for call in message.tool_calls or []]
        return {"role": "assistant", "text": message.text, "calls": calls}
    if message.role == "tool":
        return {"role": "tool", "text": message.text, "id": message.tool_call_id}
    return {"role": message.role, "text": message.text}


def check(inspect_ai: Foreign, path: Path) -> pe.Tables:
    """Compare what is read of a log with what its own reader gives."""
    tables = pe.read(path)
    theirs = read_by_inspect(inspect_ai, path)
    mine = [
        {
            "case": each["case_id"],
            "run": each["run"],
            "scores": {m["evaluator_name"]: m["value"] for m in each["metrics"]},
        }
        for each in tables.traces.to_dicts()
    ]
    order = sorted(range(len(mine)), key=lambda place: (mine[place]["case"], mine[place]["run"]))
    by_name = sorted(theirs, key=lambda sample: (sample[0]["case"], sample[0]["run"]))
    assert [mine[place] for place in order] == [known for known, _, _ in by_name]
    messages = spoken(tables)
    assert [messages[place] for place in order] == [said for _, said, _ in by_name]
    for place, (_, _, tools) in zip(order, by_name, strict=True):
        made = tables.traces["tools"][place]
        functions = None if made is None else [json.loads(tool)["function"] for tool in made]
        assert [each["name"] for each in functions or []] == [tool["name"] for tool in tools or []]
        assert [each["description"] for each in functions or []] == [tool["description"] for tool in tools or []]
        for mine_, their in zip(functions or [], tools or [], strict=True):
            assert mine_["parameters"]["properties"].keys() == their["parameters"]["properties"].keys()
    return tables


@pytest.mark.parametrize("name", ["popularity.eval", "security-guide.eval", "browser.json"])
def test_real_logs_are_read_as_its_own_reader_reads_them(name: str, inspect_ai: Foreign) -> None:
    assert len(check(inspect_ai, real_file(f"inspect/{name}"))) > 0


@pytest.fixture(scope="module")
def written(inspect_ai: Foreign, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log that Inspect wrote, of a task with a tool, three samples in two epochs, and scores of every kind."""
    folder = tmp_path_factory.mktemp("logs")
    dataset, model, scorer = (importlib.import_module(f"inspect_ai.{name}") for name in ("dataset", "model", "scorer"))
    solver, tool = (importlib.import_module(f"inspect_ai.{name}") for name in ("solver", "tool"))

    @tool.tool  # type: ignore[untyped-decorator] # Inspect is not installed where types are checked
    def look() -> Foreign:
        async def execute(at: str) -> str:
            """Look somewhere, which takes a description so long that the sample has it as an attachment of its own.

            Args:
                at: Where to look; this too is said at such length that it is not written in the place where it belongs.
            """
            return f"seen at {at} " + "x" * 200

        return execute

    values = iter([float("nan"), {"a": 1, "b": "I"}, "C", 0.25, "P", True])

    @scorer.scorer(metrics=[])  # type: ignore[untyped-decorator] # as above
    def odd() -> Foreign:
        async def score(_state: Foreign, _target: Foreign) -> Foreign:
            return scorer.Score(value=next(values))

        return score

    def outputs() -> Foreign:
        while True:
            for output in (
                model.ModelOutput.for_tool_call("mockllm/model", "look", {"at": "home"}),
                model.ModelOutput.from_content("mockllm/model", "It is there. " + "y" * 300),
            ):
                output.usage = model.ModelUsage(input_tokens=1, output_tokens=1)  # or a tokenizer is downloaded
                yield output

    samples = [dataset.Sample(id=f"s/{number}", input=f"Question {number}?", target="C") for number in range(3)]
    task = inspect_ai.Task(
        dataset=samples, solver=[solver.system_message("Be kind."), solver.use_tools(look()), solver.generate()],
        scorer=odd(), epochs=2, name="made",
    )  # fmt: skip
    mock = model.get_model("mockllm/model", custom_outputs=outputs())
    (log,) = inspect_ai.eval(
        task, model=mock, log_dir=str(folder), display="none", max_samples=1, log_format="eval", score_display=False
    )
    assert log.status == "success"
    (path,) = folder.glob("*.eval")
    return path


def test_a_log_written_here_has_attachments_nan_and_scores_of_every_kind(inspect_ai: Foreign, written: Path) -> None:
    tables = check(inspect_ai, written)
    assert len(tables) == 6
    assert tables.turns.height == 12
    kinds = [each["kind"] for dropped in tables.traces["dropped"] for each in dropped]
    assert kinds == ["scores that are no number"]
    assert "attachment://" not in json.dumps(tables.traces["tools"].to_list())


@pytest.mark.parametrize("format_", ["json", "eval"])
def test_a_log_converted_by_inspect_is_the_same(
    format_: str, inspect_ai: Foreign, written: Path, tmp_path: Path
) -> None:
    log = inspect_ai.log.read_eval_log(str(written))
    path = tmp_path / f"log.{format_}"
    inspect_ai.log.write_eval_log(log, str(path), format=format_)
    check(inspect_ai, path)


def test_members_are_read_however_they_are_compressed(inspect_ai: Foreign, written: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(written) as archive:
        methods = {info.compress_type for info in archive.infolist()}
    assert methods <= {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, 93}
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        path = tmp_path / f"{method}.eval"
        copy_members(inspect_ai, written, path, method)
        check(inspect_ai, path)


def test_of_duplicate_members_the_last_one_counts(inspect_ai: Foreign, written: Path, tmp_path: Path) -> None:
    path = tmp_path / "twice.eval"
    shutil.copy(written, path)
    before = len(pe.read(path))
    name = "samples/s/0_epoch_1.json"
    with zipfile.ZipFile(path) as archive:
        found = [info.filename for info in archive.infolist() if info.filename.startswith("samples/")]
        name = found[0]
    sample = json.loads(member(inspect_ai, path, name))
    sample["messages"][-1]["content"] = "Changed."
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, json.dumps(sample))
    tables = check(inspect_ai, path)
    assert len(tables) == before
    assert "Changed." in tables.turns["text"].to_list()


def member(inspect_ai: Foreign, path: Path, name: str) -> bytes:
    """Return a member of a log, of whatever compression: Inspect patches Python's own module to read zstd."""
    assert inspect_ai
    with zipfile.ZipFile(path) as archive:
        return archive.read(name)


def copy_members(inspect_ai: Foreign, source: Path, target: Path, method: int) -> None:
    with zipfile.ZipFile(source) as archive, zipfile.ZipFile(target, "w", method) as copy:
        for info in archive.infolist():
            copy.writestr(info.filename, member(inspect_ai, source, info.filename))
