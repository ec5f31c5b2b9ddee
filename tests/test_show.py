"""`polars-export show`: conversations of traces, and of the records that an export wrote."""

from __future__ import annotations

import gzip
import json
import re
import shlex
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from polars_export.cli import main
from polars_export.show.command import ShowOptions, show
from polars_export.show.from_records import record_at
from polars_export.show.layout import Layout
from polars_export.show.record_kinds import MESSAGE_FIELDS, holds_messages, is_record
from polars_export.targets import targets
from tests.builders import call, case_result, metric, result, scored_trace, text, turn, write_document, write_lines
from tests.strategies import JSON
from tests.test_readme import CELLS, RECORDS, write_examples

SAMPLE = Path(__file__).parents[1] / "data"
HOSTILE = "\x1b[2J\x1b]0;owned\x07 \u202egnp.exe\u202c \x9b31m \r\b"


def shows(capfd: pytest.CaptureFixture[str], *arguments: object) -> list[str]:
    """Run the command, which must succeed without a word on standard error; return the lines."""
    assert main(["show", *map(str, arguments)]) == 0
    captured = capfd.readouterr()
    assert captured.err == ""
    return captured.out.splitlines()


def fails(capfd: pytest.CaptureFixture[str], status: int, *arguments: object) -> tuple[str, str]:
    assert main(["show", *map(str, arguments)]) == status
    captured = capfd.readouterr()
    assert captured.err.count("\n") == 1
    return captured.out, captured.err


def test_a_trace_is_shown_with_all_that_is_known_of_it(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    thinking = {"type": "thinking", "thinking": "A thought.", "signature": None}
    first = turn(
        thinking,
        "Two calls.",
        {"type": "image", "source": {}},
        {"type": "odd"},
        calls=[call("look", {"at": "日本"}, "a"), call("run", {"code": "x = 1\ny = 2"}, "b")],
        results=[result("second", "b", is_error=True), result("first\nof two", "a"), result("lost", "c")],
        error_message="overloaded",
    )
    source = write_document(tmp_path / "run.json", case_result("c", first, turn("Done."), scores=[0.5], final="All."))
    assert shows(capfd, source) == [
        f"=== trace 1: case set/c, score 0.5, pass, model model ({source}: $.case_results[0])",
        "metric:    reward 0.5 (threshold 0.5)",
        "reasoning: A thought.",
        "assistant: Two calls.",
        'call 1:    look {"at":"日本"}',
        "call 2:    run",
        "             code:",
        "               x = 1",
        "               y = 2",
        "error:     overloaded",
        "result 2 (error): second",
        "result 1:  first",
        "           of two",
        "assistant: Done.",
        "final:     All.",
        "not shown: 1 images, 1 unknown blocks, 1 results that answer no call",
        "",
        "=== 1 conversation shown",
    ]


def test_context_runs_names_and_missing_scores_are_shown(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    record: dict[str, Any] = {"input": {"messages": [{"role": "user", "content": "Hi.", "name": "mia"}]}}
    record |= {
        "preferred_output": [{"role": "assistant", "content": "An example.", "weight": 0}],
        "non_preferred_output": [{"role": "assistant", "content": [{"type": "image_url"}, text("No.")]}],
    }
    rows = {"messages": [{"role": "user", "content": "Hello."}], "run_id": "7"}
    lines = shows(capfd, write_lines(tmp_path / "a.jsonl", record), write_lines(tmp_path / "b.jsonl", rows))
    assert "assistant (context): An example." in lines
    assert "user (mia): Hi." in lines
    assert "not shown: 1 parts of type image_url" in lines
    assert "unscored" in next(line for line in lines if line.startswith("=== trace 2"))


@pytest.mark.parametrize("cell", CELLS, ids="-".join)
@pytest.mark.parametrize("output", ["file.jsonl", "file.jsonl.gz", "file.parquet", "repository", "lines"])
def test_every_format_of_every_target_is_shown(
    cell: tuple[str, str],
    output: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    write_examples()
    target, name = cell
    mark = f"<!-- record: {target} {name} -->"
    command = re.search(rf"^`polars-export (export .*) --output .*`\n\n{mark}$", RECORDS, re.MULTILINE)
    assert command
    options = ["--file-type", "jsonl"] if output == "lines" else []
    assert main([*shlex.split(command[1]), "--output", output, *options]) == 0
    lines = shows(capfd, output)
    assert "assistant: You get 120 dollars back." in lines
    has_prompt = targets()[target].joins_prompts
    assert ("user:      What do I get back for K7?" in lines) == has_prompt
    assert ("system:    You are a support agent." in lines) == has_prompt
    assert ("tools:     get_booking" in lines) == has_prompt
    if name == "dpo":
        sides = [line.removeprefix("--- ").partition(":")[0] for line in lines if line.startswith("---")]
        assert sides[-2:] in (["chosen", "rejected"], ["preferred_output", "non_preferred_output"])
        assert lines[-3] == "assistant: I do not know."
    elif (target, name) != ("reference", "sharegpt"):
        assert any(line.startswith("call:      get_booking {") for line in lines)
        assert ('result:    {"paid": 120}' in lines) == has_prompt
    assert ("label true" in lines[0]) == (name == "kto")
    assert lines[-1] == "=== 1 conversation shown"


def test_a_source_of_traces_takes_prompts_and_tools(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_examples()
    lines = shows(capfd, "runs.jsonl", "--prompts", "set.json", "--tools", "tools.json")
    assert lines[3:6] == [
        "tools:     get_booking",
        "system:    You are a support agent.",
        "user:      What do I get back for K7?",
    ]
    assert main(["export", "answers.jsonl", "--format", "dpo", "--output", "pairs.jsonl"]) == 0
    for option, file in (("--prompts", "set.json"), ("--tools", "tools.json")):
        assert f"{option}: is for traces; pairs.jsonl holds" in fails(capfd, 2, "pairs.jsonl", option, file)[1]


def test_what_both_sides_share_is_shown_once(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    def side(call_id: str, answer: str) -> list[dict[str, Any]]:
        calls = [{"id": call_id, "type": "function", "function": {"name": "f", "arguments": {}}}]
        return [
            {"role": "assistant", "content": "", "tool_calls": calls},
            {"role": "tool", "content": "r", "tool_call_id": call_id},
            {"role": "assistant", "content": answer},
        ]

    pair = {"prompt": [{"role": "user", "content": "?"}], "chosen": side("1", "Yes."), "rejected": side("2", "No.")}
    assert shows(capfd, write_lines(tmp_path / "p.jsonl", pair))[1:-2] == [
        "user:      ?",
        "--- both chosen and rejected",
        "call:      f {}",
        "result:    r",
        "--- chosen",
        "assistant: Yes.",
        "--- rejected",
        "assistant: No.",
    ]


def test_groups_rewards_and_other_fields_are_shown(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    prompt = [{"role": "user", "content": "?"}]
    answers = [[{"role": "assistant", "content": "A"}], [{"role": "assistant", "content": "B"}]]
    group = {"prompt": prompt, "completions": answers, "rewards": [1.0, 0.0], "extra": {"k": [1]}, "margin": 0.5}
    assert shows(capfd, write_lines(tmp_path / "g.jsonl", group))[:-2] == [
        f"=== record 1: margin 0.5 ({tmp_path}/g.jsonl:1)",
        'extra:     {"k":[1]}',
        "user:      ?",
        "--- completion 1: reward 1.0",
        "assistant: A",
        "--- completion 2: reward 0.0",
        "assistant: B",
    ]


def test_a_repository_is_shown_with_the_split_train_first(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    output = str(tmp_path / "set")
    assert main(["export", str(SAMPLE), "--format", "chatml", "--output", output, "--test-fraction", "0.5"]) == 0
    heads = [line for line in shows(capfd, output, "--limit", "200") if line.startswith("=== record")]
    splits = [re.findall(r"/data/(\w+)-.* row \d+\)$", head) for head in heads]
    assert splits == sorted(splits, reverse=True)
    assert {*map(tuple, splits)} == {("train",), ("test",)}
    assert len(heads) == 200


def test_the_limit_says_how_to_see_more(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    source = write_lines(tmp_path / "a.jsonl", *(case_result(f"c{number}") for number in range(12)))
    assert shows(capfd, source)[-1] == "=== 10 conversations shown; --limit 20 shows more, if there are any"
    assert shows(capfd, source, "--limit", 12)[-1].startswith("=== 12 conversations shown; --limit 24")
    assert shows(capfd, source, "--limit", 13)[-1] == "=== 12 conversations shown"
    for wrong in ("0", "-1", "x"):
        assert "--limit" in fails(capfd, 2, source, "--limit", wrong)[1]


def test_reading_stops_at_the_limit(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "long.jsonl"
    long = json.dumps(scored_trace("c", turn("x" * 100_000)))
    path.write_text(f"{long}\n" * 50 + "broken\n", encoding="utf-8")
    assert len([line for line in shows(capfd, path, "--limit", 2) if line.startswith("=== trace")]) == 2
    assert "long.jsonl:51" in fails(capfd, 4, path, "--limit", 51)[1]


def test_long_results_are_folded_unless_asked_for(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    long = "\n".join(f"line {number}" for number in range(153))
    trace = case_result("c", turn("Hi.", calls=[call()], results=[result(long)]))
    source = write_lines(tmp_path / "a.jsonl", trace)
    assert "           … 143 more lines" in shows(capfd, source)
    lines = shows(capfd, source, "--full")
    assert "           line 152" in lines
    assert not any("…" in line for line in lines)


def test_invalid_records_stop_or_are_counted(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    traces = tmp_path / "a.jsonl"
    good = json.dumps(case_result("good"))
    traces.write_text(f'{good}\n{{"case_id": 3}}\n{good}\n{"[" * 9}\n', encoding="utf-8")
    out, error = fails(capfd, 4, traces)
    assert "a.jsonl:2: $.case_id: expected a string" in error
    assert out.startswith("=== trace 1: case good")
    assert "=== trace 2" not in out
    assert shows(capfd, traces, "--on-error", "skip")[-2:] == [
        f"skipped 2 invalid records, the first: {traces}:2: $.case_id: expected a string, found the number 3",
        "=== 2 conversations shown",
    ]
    records = tmp_path / "r.jsonl"
    pair = json.dumps({"prompt": [], "chosen": [], "rejected": []})
    records.write_text(f'{pair}\nnull\n{{"a": 1}}\n{{"mess\n{pair}\n', encoding="utf-8")
    assert "r.jsonl:2: $: expected a record of an export, with messages, found null" in fails(capfd, 4, records)[1]
    assert "skipped 3 invalid records" in shows(capfd, records, "--on-error", "skip")[-2]
    assert "a record of at most 10 bytes" in fails(capfd, 4, records, "--max-record-size", "10B")[1]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.jsonl", None, "no such file"),
        ("empty.jsonl", b"", "the file is empty"),
        ("text.jsonl", b"hello", "expected a JSON object, found text that starts with 'hello'"),
        ("odd.parquet", b"PAR1 and then nothing", "damaged Parquet"),
        ("report.json", b'{"schema_version": 1, "cases": []}', "holds no traces"),
        ("cut.jsonl.gz", gzip.compress(b'{"chosen": [], "rejected": []}\n' * 9, mtime=0)[:-12], "damaged gzip data"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_shown(
    name: str, content: bytes | None, message: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    assert message in fails(capfd, 4, tmp_path / name)[1]


def test_parquet_of_something_else(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "set/data").mkdir(parents=True)
    (tmp_path / "set/manifest.json").touch()
    shard = tmp_path / "set/data/train-00000-of-00001.parquet"
    pq.write_table(pa.table({"a": [1]}), shard)
    assert "expected a record of an export, with messages, found the columns a" in fails(capfd, 4, tmp_path / "set")[1]
    assert "expected a column with lists of messages, found a" in fails(capfd, 4, shard)[1]


def test_a_search_names_what_holds_no_traces(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write_lines(tmp_path / "a.jsonl", case_result("c"))
    (tmp_path / "b.json").write_text("{}", encoding="utf-8")
    lines = shows(capfd, tmp_path)
    assert lines[-2].startswith(f"skipped {tmp_path}/b.json: ")
    assert lines[-1] == "=== 1 conversation shown"


def test_hostile_texts_do_no_harm(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    case = case_result(
        HOSTILE,
        turn(
            {"type": "thinking", "thinking": HOSTILE, "signature": None},
            HOSTILE,
            calls=[call(HOSTILE, {HOSTILE: f"{HOSTILE}\nx"}, "a"), call(HOSTILE, HOSTILE, "b")],
            results=[result(HOSTILE, "a")],
            error_message=HOSTILE,
        ),
        final=f"{HOSTILE} end",
    )
    case["metric_results"] = [metric(1.0, HOSTILE) | {"details": HOSTILE}]
    messages = [{"role": HOSTILE, "content": HOSTILE, "name": HOSTILE}]
    record = {"messages": messages, "metadata": {"case_id": HOSTILE, "score": HOSTILE, HOSTILE: 1}, HOSTILE: [HOSTILE]}
    for source in (write_lines(tmp_path / "a.jsonl", case), write_lines(tmp_path / "b.jsonl", record)):
        text_shown = "\n".join(shows(capfd, source))
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", text_shown)
        assert "\\x1b[2J" in text_shown


SAID = st.text(st.characters(exclude_categories=["Cc", "Cf", "Cs", "Zl", "Zp"]), min_size=1, max_size=30)


@given(st.lists(st.tuples(SAID, SAID, SAID, SAID), min_size=1, max_size=3), SAID)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_every_text_of_a_short_conversation_is_shown(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], said: list[tuple[str, str, str, str]], final: str
) -> None:
    turns = [
        turn(
            {"type": "thinking", "thinking": thought, "signature": None},
            answer,
            calls=[call(f"f{name}", {"x": 1})],
            results=[result(found)],
        )
        for answer, thought, name, found in said
    ]
    source = write_lines(tmp_path / "a.jsonl", case_result("c", *turns, final=final))
    capfd.readouterr()
    show([str(source)], ShowOptions())
    out = capfd.readouterr().out
    for answer, thought, name, found in said:
        for expected in (
            f"assistant: {answer}",
            f"reasoning: {thought}",
            f'call:      f{name} {{"x":1}}',
            f"result:    {found}",
        ):
            assert f"\n{expected}\n" in out
    spoken = "assistant: " if final == said[-1][0] else "final:     "
    assert f"\n{spoken}{final}\n" in out


MESSAGES = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["system", "user", "assistant", "tool", "function_call", "odd"])},
        optional=dict.fromkeys(
            ("content", "name", "weight", "tool_calls", "tool_call_id", "reasoning_content", "from"), JSON
        )
        | {"tool_calls": st.lists(st.fixed_dictionaries({}, optional=dict.fromkeys(("id", "function", "name"), JSON)))},
    ),
    max_size=3,
)
RECORD_FIELDS = [
    *MESSAGE_FIELDS, "tools", "metadata", "rewards", "label", "system", "margin", "case_id", "odd\n",
]  # fmt: skip


@given(st.dictionaries(st.sampled_from(RECORD_FIELDS), st.one_of(JSON, MESSAGES, st.lists(MESSAGES, max_size=2))))
def test_whatever_a_record_holds_it_is_shown(record: dict[str, Any]) -> None:
    lines = list(Layout(width=60).conversation(record_at(record, "f:1"), 1))
    assert "record 1" in lines[1][0].text
    assert is_record(record) <= holds_messages(record)
