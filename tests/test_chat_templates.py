"""Exported messages render, under every tool-capable chat template that TRL ships, to the text of the source messages.

The templates come with the package `trl`, of which nothing else is needed (`pip install --no-deps trl`): without it
these tests are skipped. Rendering is plain Jinja with what chat templates expect to find there.
"""

from __future__ import annotations

import importlib.util
import json
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import datasets
import jinja2
import pytest
from jinja2.ext import Extension
from jinja2.sandbox import ImmutableSandboxedEnvironment

import polars_export as pe
from tests import rowwise_trainers
from tests.rowwise_trainers import Case

if TYPE_CHECKING:
    from jinja2 import nodes
    from jinja2.parser import Parser

DATA = Path(__file__).parents[1] / "data"
TOOLS = DATA / "tools/airline.json"
RUN = DATA / "results/airline/1715770000.json"
EVERY = 7  # of the 50 conversations; all of them take minutes
TRL = importlib.util.find_spec("trl")
TEMPLATES = sorted(Path(TRL.submodule_search_locations[0]).glob("chat_templates/*.jinja")) if TRL else []  # type: ignore[index]

pytestmark = [
    pytest.mark.skipif(not TEMPLATES, reason="the templates of trl are not installed"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning"),
]


class Generation(Extension):
    """`{% generation %}` marks the assistant's tokens: it renders what it holds."""

    tags = {"generation"}  # noqa: RUF012 - as Jinja declares it

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def to_json(value: object, **options: Any) -> str:  # noqa: ANN401 - what templates pass
    options.setdefault("ensure_ascii", False)
    return json.dumps(value, **options)


def refuse(message: str) -> NoReturn:
    raise jinja2.TemplateError(message)


@lru_cache
def compiled(template: Path) -> jinja2.Template:
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, "jinja2.ext.loopcontrols"]
    )
    environment.filters["tojson"] = to_json
    environment.globals |= {"raise_exception": refuse, "strftime_now": lambda _: "2026-01-01"}
    return environment.from_string(template.read_text(encoding="utf-8"))


def render(template: Path, messages: list[dict[str, Any]], tools: list[dict[str, Any]]) -> str:
    return compiled(template).render(messages=messages, tools=tools, bos_token="<s>", eos_token="</s>", pad_token="")  # noqa: S106


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The first run of the sample as `load_dataset` gives it, without the null keys that transformers drops."""
    folder = tmp_path_factory.mktemp("templates")
    options = pe.ExportOptions("chatml", target="trl", prompts=str(DATA / "sets"), tools=str(TOOLS))
    pe.export(RUN, folder / "out", options)
    datasets.disable_progress_bars()
    rows = datasets.load_dataset(str(folder / "out"), cache_dir=str(folder / "cache"))["train"]
    return [
        {**row, "messages": [{k: v for k, v in message.items() if v is not None} for message in row["messages"]]}
        for row in rows
    ]


@pytest.fixture(scope="module")
def source() -> list[list[dict[str, Any]]]:
    """The same conversations, made row by row."""
    cases = json.loads((DATA / "sets/airline.json").read_text(encoding="utf-8"))["cases"]
    known = {case["id"]: Case(case["system_prompt"], tuple(case["user_messages"])) for case in cases}
    traces = json.loads(RUN.read_text(encoding="utf-8"))["case_results"]
    return [rowwise_trainers.messages(trace, known[trace["case_id"]]) for trace in traces]


def tool_capable(template: Path) -> bool:
    """Whether a template shows tools and renders a conversation with calls whose arguments are objects."""
    function = {"name": "f", "description": "", "parameters": {"type": "object", "properties": {}, "required": []}}
    call = {"id": "c12345678", "type": "function", "function": {"name": "f", "arguments": {"mark": 1}}}
    messages: list[dict[str, Any]] = [
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "content": "y", "tool_call_id": "c12345678", "name": "f"},
        {"role": "assistant", "content": "z"},
    ]
    try:
        return "mark" in render(template, messages, [{"type": "function", "function": function}])
    except (jinja2.TemplateError, TypeError, AttributeError):
        return False


def test_most_templates_are_tool_capable() -> None:
    assert sum(map(tool_capable, TEMPLATES)) >= 30


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda template: str(template.stem))
def test_the_exported_messages_render_like_the_source(
    template: Path, exported: list[dict[str, Any]], source: list[list[dict[str, Any]]]
) -> None:
    if not tool_capable(template):
        pytest.skip("shows no tools")
    tools = json.loads(TOOLS.read_text(encoding="utf-8"))
    compared = 0
    for row, messages in zip(exported[::EVERY], source[::EVERY], strict=True):
        try:
            expected = render(template, messages, tools)
        except jinja2.TemplateError:  # a rule of the template that the conversation itself breaks
            with pytest.raises(jinja2.TemplateError):
                render(template, row["messages"], row["tools"])
            continue
        assert render(template, row["messages"], row["tools"]) == expected
        compared += 1
    assert compared
