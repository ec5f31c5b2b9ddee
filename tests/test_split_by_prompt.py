"""A dataset is split by prompt: cases with one prompt are on one side, in whatever eval set."""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import polars_export as pe
from tests.builders import case_result, turn, write_document, write_lines

if TYPE_CHECKING:
    from pathlib import Path

Json = dict[str, Any]

RUNS = st.lists(
    st.tuples(
        st.sampled_from([None, "one", "two"]),
        st.sampled_from("abc"),
        st.none() | st.lists(st.sampled_from(["x", "y", "é", '"z"']), max_size=2),
        st.sampled_from([None, "be kind"]),
        st.sampled_from([0.0, 0.5, 1.0]),
    ),
    min_size=1,
    max_size=12,
)


def opening_of(messages: list[str] | None, system: str | None) -> str | None:
    """Return the text of opening messages in plain Python."""
    if not messages:
        return None
    spoken = [("system", system)] if system else []
    spoken += [("user", message) for message in messages]
    dumped = (json.dumps({"role": role, "content": text}, ensure_ascii=False) for role, text in spoken)
    return ",".join(
        text.replace('", "content": "', '","content":"').replace('{"role": ', '{"role":') for text in dumped
    )


def share(text: str) -> float:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=7).digest()) / 2**56


def share_of_case(eval_set: str | None, case: str, seed: int) -> float:
    return share("\0".join([str(seed), "" if eval_set is None else f"+{eval_set}", f"+{case}"]))


def records_of(folder: Path, split: str) -> list[Json]:
    files = sorted(folder.glob(f"data/{split}-*.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text(encoding="utf-8").splitlines()]


@given(
    runs=RUNS, seed=st.integers(0, 3), fraction=st.sampled_from([0.3, 0.5, 0.7]), threshold=st.sampled_from([None, 0.5])
)
def test_a_case_goes_where_the_smallest_of_its_openings_goes(
    runs: list[tuple[str | None, str, list[str] | None, str | None, float]],
    seed: int,
    fraction: float,
    threshold: float | None,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("split")
    smallest: dict[tuple[str | None, str], str] = {}
    lines = []
    for number, (eval_set, case, messages, system, score) in enumerate(runs):
        own: Json = {"eval_set_id": eval_set, "user_messages": messages, "system_prompt": system}
        lines.append(case_result(case, turn(str(number)), scores=[score], **own))
        opening = opening_of(messages, system)
        if opening is not None:
            smallest[eval_set, case] = min(smallest.get((eval_set, case), opening), opening, key=str.encode)
    expected: dict[str, list[str]] = {"train": [], "test": []}
    for number, (eval_set, case, _, _, score) in enumerate(runs):
        known = smallest.get((eval_set, case))
        place = share_of_case(eval_set, case, seed) if known is None else share(f"{seed}\0{known}")
        if threshold is None or score >= threshold:
            expected["test" if place < fraction else "train"].append(str(number))
    source = write_lines(folder / "runs.jsonl", *lines)
    options = pe.ExportOptions(
        "chatml", target="trl", split_by="prompt", test_fraction=fraction, seed=seed, file_type="jsonl",
        missing_prompt="keep", quality_threshold=threshold,
    )  # fmt: skip
    try:
        pe.export(source, folder / "out", options)
    except pe.NothingToExportError:
        assert not any(expected.values())
        return
    for split, numbers in expected.items():
        assert [record["messages"][-1]["content"] for record in records_of(folder / "out", split)] == numbers


def export_sample(folder: Path, **options: Any) -> Path:  # noqa: ANN401 - options
    """Export 60 cases of each of two eval sets that share their prompts."""
    results, sets = folder / "store/results", folder / "store/sets"
    results.mkdir(parents=True)
    sets.mkdir()
    for name in ("one", "two"):
        cases = [{"id": f"{name} {n}", "user_messages": [f"Question {n % 20}?"]} for n in range(60)]
        (sets / f"{name}.json").write_text(json.dumps({"id": name, "cases": cases}), encoding="utf-8")
        runs = [case_result(f"{name} {n}", turn(f"{s}"), scores=[s]) for n in range(60) for s in (0.0, 1.0)]
        write_document(results / f"{name}.json", *runs, eval_set_id=name)
    pe.export(folder / "store", folder / "out", pe.ExportOptions(target="trl", test_fraction=0.3, **options))
    return folder / "out"


def prompts_of(folder: Path, split: str) -> set[str]:
    (file,) = folder.glob(f"data/{split}-*.parquet")
    frame = pl.read_parquet(file)
    column = "prompt" if "prompt" in frame.columns else "messages"
    return {messages[0]["content"] for messages in frame[column].to_list()}


@pytest.mark.parametrize("name", ["chatml", "dpo"])
def test_no_prompt_of_the_test_split_occurs_in_train(name: str, tmp_path: Path) -> None:
    out = export_sample(tmp_path, format=name, split_by="prompt")
    train, test = prompts_of(out, "train"), prompts_of(out, "test")
    assert train
    assert test
    assert train & test == set()
    assert counts_in_card(out) == (len(test), 0)


def test_the_card_tells_how_many_prompts_are_on_both_sides(tmp_path: Path) -> None:
    out = export_sample(tmp_path, format="chatml")
    train, test = prompts_of(out, "train"), prompts_of(out, "test")
    assert train & test
    assert counts_in_card(out) == (len(test), len(train & test))


def counts_in_card(out: Path) -> tuple[int, int]:
    """Return what the card tells: distinct prompts of the test split, and those that occur in train too."""
    card = (out / "README.md").read_text(encoding="utf-8")
    found = re.search(r"Of the (\d+) distinct prompts of the test split, (\d+) also occur in train", card)
    assert found
    return int(found[1]), int(found[2])
