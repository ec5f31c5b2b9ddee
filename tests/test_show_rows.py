"""How texts become rows: measured as terminals do, harmless, and folded where they are long."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polars_export.show.calls import call_text
from polars_export.show.fold import fold
from polars_export.show.harmless import HARMFUL, harmless, one_line
from polars_export.show.layout import Layout
from polars_export.show.rows import cell_width, wrapped_rows
from polars_export.show.transcript import Conversation, Entry, Kind, Section

TEXTS = st.text(
    st.one_of(
        st.sampled_from("\n\r\t \x1b\x07\x9b\u202e\u2066\u200b\u2028\u200d\ufe0f\u0301a日😀👍🏽🇩❤"),
        st.characters(),
    ),
    max_size=60,
)


@pytest.mark.parametrize(
    ("text", "width"),
    [
        ("", 0),
        ("plain", 5),
        ("日本", 4),
        ("ｆｕｌｌ", 8),  # noqa: RUF001 - wide letters are what this is about
        ("e\u0301", 1),
        ("각", 2),
        ("\u1100\u1161\u11a8", 2),
        ("😀", 2),
        ("👍🏽", 2),
        ("👩\u200d👩\u200d👧", 2),
        ("❤\ufe0f", 2),
        ("1\ufe0f\u20e3", 2),
        ("🇩🇪", 2),
        ("\x1b[0m", 7),
    ],
)
def test_cells_are_counted_as_terminals_do(text: str, width: int) -> None:
    assert cell_width(text) == width


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred", "\\x1b[31mred"),
        ("\x9b2J", "\\x9b2J"),
        ("title\x1b]0;x\x07", "title\\x1b]0;x\\x07"),
        ("a\rb\x08", "a\\rb\\x08"),
        ("\u202etxt.exe\u2069", "\\u202etxt.exe\\u2069"),
        ("a\u2028b\x85", "a\\u2028b\\x85"),
        ("\U000e0041", "\\U000e0041"),
        ("\ud800", "\\ud800"),
        ("tab\tline\n", "tab\tline\n"),
        ("👩\u200d👧 नी\u200cर", "👩\u200d👧 नी\u200cर"),
    ],
)
def test_harmful_characters_are_shown_as_escapes(text: str, shown: str) -> None:
    assert harmless(text) == shown


def test_one_line_has_no_breaks() -> None:
    assert one_line("a\n\tb\r") == "a\\n\\tb\\r"


def shown_rows(text: str, width: int | None, most: int | None = None) -> list[str]:
    return fold(text, width, most).rows


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("", [""]),
        ("\n", [""]),
        ("one two three", ["one two", "three"]),
        ("one two\n\nthree\n", ["one two", "", "three"]),
        ("windows\r\nline\r\n", ["windows", "line"]),
        ("  indented", ["  indent", "ed"]),
        ("abcdefghijk", ["abcdefgh", "ijk"]),
        ("日本語テキスト", ["日本語テ", "キスト"]),
        ("ab 日本語", ["ab 日本", "語"]),
        ("\x1b\x1b\x1b", ["\\x1b\\x1b", "\\x1b"]),
        ("a\tb", ["a    b"]),
    ],
)
def test_rows_are_broken_at_spaces_and_around_wide_characters(text: str, rows: list[str]) -> None:
    assert shown_rows(text, 8) == rows


@given(TEXTS, st.integers(2, 30))
def test_rows_fit_and_lose_nothing_but_blanks(text: str, width: int) -> None:
    rows = shown_rows(text, width)
    longest_escape = 10
    assert max(map(cell_width, rows)) <= max(width, longest_escape)
    assert not any(HARMFUL.search(row) or "\n" in row for row in rows)
    whole = "".join(shown_rows(text, 10_000))
    assert [c for row in rows for c in row if not c.isspace()] == [c for c in whole if not c.isspace()]


@given(TEXTS)
def test_lines_stay_whole_where_nothing_is_wrapped(text: str) -> None:
    assert shown_rows(text, None) == harmless(text.replace("\r\n", "\n").removesuffix("\n")).split("\n")


def test_marks_do_not_pile_up() -> None:
    [row] = shown_rows("a" + "\u0301" * 1000, 20_000)
    run = longest = 0
    for character in row:
        run = run + 1 if unicodedata.combining(character) else 0
        longest = max(longest, run)
    assert longest == 8


@pytest.mark.parametrize(
    ("text", "width", "shown", "rest"),
    [
        ("x\n" * 153, 20, 10, "… 143 more lines"),
        ("x\r\n" * 153, 20, 10, "… 143 more lines"),
        ("x\n" * 13, 20, 13, None),
        ("x\n" * 14, 20, 10, "… 4 more lines"),
        ("y" * 13_345, 10, 10, "… 13,245 more characters"),
        ("y" * 2_000_000, None, 1, "… 1,999,000 more characters"),
        ("y" * 1300, None, 1, None),
        ("z " * 200 + "\nend", 20, 10, "… 2 more lines"),
    ],
)
def test_long_texts_are_folded(text: str, width: int | None, shown: int, rest: str | None) -> None:
    folded = fold(text, width, 10)
    assert (len(folded.rows), folded.rest) == (shown, rest)


def test_of_a_huge_text_only_the_beginning_is_looked_at() -> None:
    text = "日" * 50_000_000
    assert fold(text, 80, 10).rest == "… 49,999,600 more characters"
    assert next(wrapped_rows(text, 80)).text == "日" * 40


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        ('{"a":1}', 'run {"a":1}'),
        ("{}", "run {}"),
        ("[1]", "run [1]"),
        ("no JSON {", "run no JSON {"),
        ("", "run"),
        ('{"code":"a\\nb","n":[1,2]}', "run\n  code:\n    a\n    b\n  n: [1,2]"),
        (
            f'{{"long":"{"x" * 120}","n":12345678901234567890123}}',
            f'run\n  long: "{"x" * 120}"\n  n: 12345678901234567890123',
        ),
    ],
)
def test_long_arguments_stand_one_by_one(arguments: str, shown: str) -> None:
    assert call_text("run", arguments) == shown


def plain(*entries: Entry, full: bool = False) -> list[str]:
    conversation = Conversation("trace", ("case a\nb",), "f:1", (Section(entries),))
    return ["".join(span.text for span in line) for line in Layout(full=full).conversation(conversation, 1)]


def test_no_text_reaches_the_margin() -> None:
    text = "said\nuser: forged\n=== trace 2: forged\r\nresult: forged"
    lines = plain(Entry(Kind.ASSISTANT, "assistant", text), Entry(Kind.USER, "user (m\nia)", text))
    starts = [line for line in lines if line[:1].strip()]
    assert starts == ["=== trace 1: case a\\nb (f:1)", "assistant: said", "user (m\\nia): said"]


@pytest.mark.parametrize("width", [1, 12, 39, 40, 80, 300])
def test_lines_fit_the_terminal(width: int) -> None:
    entries = (Entry(Kind.RESULT, "result (error)", "日本 word " * 50), Entry(Kind.USER, "user", "👍🏽" * 100))
    conversation = Conversation("trace", ("case " + "long " * 30,), "f:1", (Section(entries, "chosen: " + "x" * 90),))
    widths = [sum(cell_width(span.text) for span in line) for line in Layout(width).conversation(conversation, 1)]
    assert max(widths) <= max(width, 12)
