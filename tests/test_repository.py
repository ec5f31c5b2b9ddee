"""Datasets that trainers load as they are: the real sample, through every cell, into the real `datasets`."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import datasets
import pyarrow.parquet as pq
import pytest

import polars_export as pe
from polars_export.targets import targets
from tests import rowwise, rowwise_trainers
from tests.builders import call, case_result, scored_trace, turn, write_document, write_lines
from tests.rowwise_trainers import Case

Json = dict[str, Any]

DATA = Path(__file__).parents[1] / "data"
TOOLS = DATA / "tools/airline.json"
CELLS = [(name, format_) for name, target in targets().items() for format_ in target.offered]
EMPTY = {("openai", "dpo"), ("llamafactory", "dpo")}  # no run of the sample is a single message

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    datasets.disable_progress_bars()


def load(folder: Path, cache: Path, **options: Any) -> datasets.DatasetDict:  # noqa: ANN401 - options
    return datasets.load_dataset(str(folder), cache_dir=str(cache), **options)


def sample() -> tuple[list[Json], dict[str, Case]]:
    documents = [json.loads(path.read_text(encoding="utf-8")) for path in sorted((DATA / "results/airline").iterdir())]
    cases = json.loads((DATA / "sets/airline.json").read_text(encoding="utf-8"))["cases"]
    known = {case["id"]: Case(case["system_prompt"], tuple(case["user_messages"])) for case in cases}
    return [case for document in documents for case in document["case_results"]], known


@pytest.fixture(scope="module")
def some_cases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real sample with all runs of every fourth case: what `datasets` makes of it takes long."""
    folder = tmp_path_factory.mktemp("sample") / "store"
    (folder / "results").mkdir(parents=True)
    (folder / "sets").symlink_to(DATA / "sets")
    for path in sorted((DATA / "results/airline").iterdir()):
        results = json.loads(path.read_text(encoding="utf-8"))
        results["case_results"] = [case for case in results["case_results"] if int(case["case_id"][-3:]) % 4 == 0]
        assert len(results["case_results"]) > 10
        (folder / "results" / path.name).write_text(json.dumps(results), encoding="utf-8")
    return folder


def small(folder: Path) -> Path:
    """Write an eval store whose runs fit every cell: two answers of one message to each of three cases."""
    (folder / "results").mkdir(parents=True)
    (folder / "sets").mkdir()
    cases = ["a", "b", "c"]
    for run, score in enumerate((0.9, 0.1)):
        runs = [case_result(case, turn(f"{case} {run}"), scores=[score]) for case in cases]
        write_document(folder / f"results/{run}.json", *runs)
    prompts = [{"id": case, "name": case, "system_prompt": "Be kind.", "user_messages": [f"{case}?"]} for case in cases]
    (folder / "sets/set.json").write_text(json.dumps({"id": "set", "name": "s", "cases": prompts}), encoding="utf-8")
    return folder


@pytest.mark.parametrize("file_type", ["parquet", pytest.param("jsonl", marks=pytest.mark.long)])
@pytest.mark.parametrize(("target", "name"), CELLS)
def test_every_cell_loads_with_its_features_and_counts_and_the_rows_of_the_plain_file(
    target: str, name: str, file_type: str, some_cases: Path, tmp_path: Path
) -> None:
    """The plain file's records are those of the row-by-row implementations: see `test_properties`, `test_trainers`."""
    source = small(tmp_path / "store") if (target, name) in EMPTY else some_cases
    tools = None if target == "reference" else str(TOOLS)
    options = pe.ExportOptions(name, target=target, file_type=file_type, test_fraction=0.2, tools=tools)
    report = pe.export(source, tmp_path / "out", options)
    splits = load(tmp_path / "out", tmp_path / "cache")
    pe.export(source, tmp_path / "plain.jsonl", replace(options, file_type=None, test_fraction=None))
    lines = [record(json.loads(line)) for line in (tmp_path / "plain.jsonl").read_bytes().split(b"\n")[:-1]]
    loaded = {split: [record(row) for row in data] for split, data in splits.items()}
    assert sorted(row for of_split in loaded.values() for row in of_split) == sorted(lines)
    for of_split in loaded.values():
        following = iter(lines)
        assert all(row in following for row in of_split)  # in the order of the plain file
    assert len(lines) == report.records
    manifest = json.loads((tmp_path / "out/manifest.json").read_text(encoding="utf-8"))
    assert manifest["counts"]["traces_read"] == report.traces_read
    assert manifest["counts"]["exported"] == report.exported
    assert manifest["counts"]["dropped"] == report.dropped
    rows = Counter({split: data.num_rows for split, data in splits.items()})
    assert rows == sum_rows(manifest["shards"])
    card = (tmp_path / "out/README.md").read_text(encoding="utf-8")
    for count in (report.traces_read, report.exported, *report.dropped.values()):
        assert f"{count:,}" in card
    assert (tmp_path / "out/dataset_info.json").exists() == (target == "llamafactory")


def record(row: Json) -> str:
    return json.dumps(nulls_dropped(row), sort_keys=True)


def nulls_dropped(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(value, dict):
        return {key: nulls_dropped(item) for key, item in value.items() if item is not None}
    return [nulls_dropped(item) for item in value] if isinstance(value, list) else value


def sum_rows(shards: list[Json]) -> Counter[str]:
    rows: Counter[str] = Counter()
    for shard in shards:
        rows[shard["split"]] += shard["rows"]
    return rows


@pytest.mark.parametrize("file_type", ["parquet", "jsonl"])
def test_the_sample_keeps_prompts_results_arguments_and_tools(file_type: str, tmp_path: Path) -> None:
    options = pe.ExportOptions("chatml", target="trl", tools=str(TOOLS), file_type=file_type)
    report = pe.export(DATA, tmp_path / "out", options)
    assert (report.traces_read, report.exported) == (200, 200)
    rows = load(tmp_path / "out", tmp_path / "cache")["train"]
    traces, cases = sample()
    tools = json.loads(TOOLS.read_text(encoding="utf-8"))
    for row, trace in zip(rows, traces, strict=True):
        expected = rowwise_trainers.trl(trace, cases[trace["case_id"]], "airline")
        messages = [without_nulls(message) for message in row["messages"]]
        assert messages == expected["messages"]
        assert messages[0]["role"] == "system"
        assert row["tools"] == tools
        assert row["metadata"] == expected["metadata"]


def without_nulls(message: Json) -> Json:
    """Drop the keys of a message that are null; arguments keep theirs."""
    return {key: value for key, value in message.items() if value is not None}


@pytest.mark.parametrize("file_type", ["parquet", "jsonl"])
def test_integers_beyond_64_bits_load(file_type: str, tmp_path: Path) -> None:
    case = case_result("a", turn("x", calls=[call("f", {"n": 2**64, "m": 2**64 - 1})]))
    source = write_lines(tmp_path / "runs.jsonl", case)
    options = pe.ExportOptions("chatml", target="trl", missing_prompt="keep", file_type=file_type)
    pe.export(source, tmp_path / "out", options)
    (row,) = load(tmp_path / "out", tmp_path / "cache")["train"]
    arguments = row["messages"][0]["tool_calls"][0]["function"]["arguments"]
    assert arguments == {"n": pytest.approx(2.0**64), "m": 2**64 - 1}  # datasets itself rounds what it reads as lines
    exact = pe.read_turns(source)["tool_calls"][0][0]["arguments"]
    assert json.loads(exact)["n"] == 2**64


def test_the_pairs_of_the_sample_differ_in_score(tmp_path: Path) -> None:
    report = pe.export(DATA, tmp_path / "out", pe.ExportOptions("dpo", target="trl"))
    rows = load(tmp_path / "out", tmp_path / "cache")["train"]
    assert len(rows) == report.records == 49
    assert report.dropped == {"not_selected": 100, "tied": 2}
    for row in rows:
        assert row["metadata"]["chosen_score"] > row["metadata"]["rejected_score"]
        assert row["chosen"] != row["rejected"]
        assert [message["role"] for message in row["prompt"]] == ["system", "user"]


def test_strings_load_for_old_readers(tmp_path: Path) -> None:
    options = pe.ExportOptions("chatml", target="trl", tools=str(TOOLS), arguments="string")
    pe.export(DATA, tmp_path / "out", options)
    schema = str(pq.read_schema(next((tmp_path / "out/data").iterdir())))
    assert "json" not in schema
    row = load(tmp_path / "out", tmp_path / "cache")["train"][0]
    assert all(isinstance(json.loads(tool), dict) for tool in row["tools"])


def test_the_same_export_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one/data", "two/data"):
        (tmp_path / name).parent.mkdir()
        pe.export(
            DATA, tmp_path / name, pe.ExportOptions("kto", target="trl", test_fraction=0.3, max_shard_bytes="1MB")
        )
    files = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*") if path.is_file())
    assert len(files) > 5
    for file in files:
        one, two = (tmp_path / folder / file for folder in ("one", "two"))
        if file.name == "manifest.json":
            assert json.loads(one.read_text())["shards"] == json.loads(two.read_text())["shards"]
        else:
            assert one.read_bytes() == two.read_bytes()


def test_no_case_is_on_both_sides_and_none_changes_when_more_are_added(tmp_path: Path) -> None:
    def sides(cases: int, runs: int) -> dict[str, str]:
        source = tmp_path / f"{cases}-{runs}.jsonl"
        write_lines(source, *[case_result(str(case)) for _ in range(runs) for case in range(cases)])
        out = tmp_path / f"out-{cases}-{runs}"
        pe.export(source, out, pe.ExportOptions("chatml", test_fraction=0.3, seed=7, file_type="jsonl"))
        found: dict[str, set[str]] = {}
        for shard in (out / "data").iterdir():
            for line in shard.read_text(encoding="utf-8").splitlines():
                found.setdefault(json.loads(line)["metadata"]["case_id"], set()).add(shard.name.split("-")[0])
        assert all(len(splits) == 1 for splits in found.values())
        return {case: splits.pop() for case, splits in found.items()}

    few, more = sides(100, 1), sides(200, 3)
    assert 15 < list(few.values()).count("test") < 45
    assert {case: more[case] for case in few} == few


def test_a_missing_prompt_stops_the_export_and_names_the_cases(tmp_path: Path) -> None:
    source = write_document(tmp_path / "run.json", *[case_result(f"case {number}") for number in range(7)])
    with pytest.raises(pe.MissingPromptError, match=r"7 cases have no user message .*set/case 0, .*, …; .*--prompts"):
        pe.export(source, tmp_path / "out", pe.ExportOptions("chatml", target="trl"))
    assert not (tmp_path / "out").exists()
    with pytest.raises(pe.NothingToExportError, match="7 missing_prompt"):
        pe.export(source, tmp_path / "out", pe.ExportOptions("chatml", target="trl", missing_prompt="skip"))
    kept = pe.export(source, tmp_path / "out", pe.ExportOptions("chatml", target="trl", missing_prompt="keep"))
    assert kept.exported == 7


def test_an_eval_set_that_lacks_a_case_is_named(tmp_path: Path) -> None:
    store = small(tmp_path / "store")
    write_document(store / "results/2.json", case_result("z"))
    with pytest.raises(pe.MissingPromptError, match="1 cases have no user message in the eval sets: set/z;"):
        pe.export(store, tmp_path / "out", pe.ExportOptions("chatml", target="trl"))
    report = pe.export(store, tmp_path / "out", pe.ExportOptions("chatml", target="trl", missing_prompt="skip"))
    assert report.dropped == {"missing_prompt": 1}


def test_lines_are_joined_by_case_alone_unless_two_sets_have_it(tmp_path: Path) -> None:
    store = small(tmp_path / "store")
    source = write_lines(tmp_path / "runs.jsonl", scored_trace("a"))
    options = pe.ExportOptions("chatml", target="trl", prompts=str(store / "sets"))
    pe.export(source, tmp_path / "out.jsonl", options)
    (record,) = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [message["content"] for message in record["messages"]] == ["Be kind.", "a?", "Hello."]
    other = json.loads((store / "sets/set.json").read_text(encoding="utf-8")) | {"id": "other"}
    (store / "sets/other.json").write_text(json.dumps(other), encoding="utf-8")
    with pytest.raises(pe.SourceError, match="case 'a' is in the eval sets other, set; the lines do not say in which"):
        pe.export(source, tmp_path / "out.jsonl", options)


def test_the_label_is_the_verdict_or_a_threshold(tmp_path: Path) -> None:
    runs = [case_result("a", scores=[0.9], verdict="fail"), case_result("b", scores=[0.2], verdict="pass")]
    source = write_lines(tmp_path / "runs.jsonl", *runs)
    for threshold, expected in ((None, [False, True]), (0.5, [True, False])):
        options = pe.ExportOptions("kto", target="trl", missing_prompt="keep", label_threshold=threshold)
        pe.export(source, tmp_path / "out.jsonl", options)
        lines = (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()
        assert [json.loads(line)["label"] for line in lines] == expected
    source = write_lines(tmp_path / "scored.jsonl", scored_trace("a"))
    with pytest.raises(pe.NothingToExportError, match="1 unlabelled; --label-threshold makes labels of scores"):
        pe.export(source, tmp_path / "out.jsonl", pe.ExportOptions("kto", target="trl", missing_prompt="keep"))


def test_pairs_that_teach_nothing_are_counted(tmp_path: Path) -> None:
    scores = {"tied": (0.5, 0.5), "near": (0.5, 0.55), "same": (0.1, 0.9), "good": (0.1, 0.9)}
    runs = [
        case_result(case, turn("x" if case == "same" else f"{run}"), scores=[score])
        for case, both in scores.items()
        for run, score in enumerate(both)
    ]
    source = write_lines(tmp_path / "runs.jsonl", *runs)
    options = pe.ExportOptions("dpo", target="trl", missing_prompt="keep", min_margin=0.1)
    report = pe.export(source, tmp_path / "out.jsonl", options)
    assert (report.records, report.exported) == (1, 2)
    assert report.dropped == {"tied": 2, "small_margin": 2, "identical": 2}


def test_a_directory_that_is_not_empty_is_refused_unless_it_may_be_replaced(tmp_path: Path) -> None:
    out = tmp_path / "out"
    pe.export(DATA, out, pe.ExportOptions("chatml", target="trl"))
    before = (out / "manifest.json").read_bytes()
    with pytest.raises(pe.OutputError, match="not empty; --overwrite"):
        pe.export(DATA, out, pe.ExportOptions("dpo", target="trl"))
    assert (out / "manifest.json").read_bytes() == before
    pe.export(DATA, out, pe.ExportOptions("dpo", target="trl", overwrite=True))
    assert json.loads((out / "manifest.json").read_text(encoding="utf-8"))["options"]["format"] == "dpo"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_the_reference_s_records_in_a_directory_are_those_of_the_file(tmp_path: Path) -> None:
    pe.export(DATA, tmp_path / "out", pe.ExportOptions("chatml", file_type="jsonl"))
    (shard,) = (tmp_path / "out/data").iterdir()
    assert shard.read_bytes() == rowwise.export(sample()[0], "chatml", 0.0)
