"""Hypothesis strategies for case results: what the upstream can write, with the odd corners made likely."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tests import builders

TEXT = st.text(
    st.one_of(
        st.sampled_from('"\\/\n\r\t\b\f\0\x1f\x7f{}[],: \u2028é日😀'),
        st.characters(exclude_categories=["Cs"]),
    ),
    max_size=12,
)
NUMBERS = st.one_of(
    st.integers(-(2**63), 2**64 - 1),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([0.0, -0.0, 1e15, 1e16, 1e-4, 1e-5, 1e-6, 0.1, 1.0, 5e-324, 1.7976931348623157e308]),
)
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, TEXT),
    lambda children: st.one_of(st.lists(children, max_size=3), st.dictionaries(TEXT, children, max_size=4)),
    max_leaves=8,
)
BLOCKS = st.one_of(
    st.builds(builders.text, TEXT),
    st.fixed_dictionaries({"type": st.just("thinking"), "thinking": TEXT, "signature": st.none() | TEXT}),
    st.fixed_dictionaries({"type": st.just("tool_call"), "id": TEXT, "name": TEXT, "arguments": JSON}),
    st.fixed_dictionaries({"type": st.just("image"), "source": JSON}),
    st.fixed_dictionaries({"type": st.just("extension"), "type_name": TEXT, "data": JSON}),
)
UNKNOWN_BLOCKS = st.fixed_dictionaries({"type": st.sampled_from(["video", "unknown", ""]), "text": JSON})
SCORES = st.one_of(
    st.floats(-2, 2), st.sampled_from([0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 0.8, 1.0, 1e15, 1e16, 1e20]), st.integers(-1, 1)
)


@st.composite
def turns(draw: st.DrawFn) -> dict[str, Any]:
    blocks = st.lists(BLOCKS | UNKNOWN_BLOCKS if draw(st.booleans()) else BLOCKS, max_size=3)
    calls = st.lists(st.builds(builders.call, TEXT, JSON, TEXT), max_size=2)
    results = st.lists(st.builds(builders.result, TEXT, TEXT, is_error=st.booleans()), max_size=2)
    return builders.turn(
        *draw(blocks), index=draw(st.integers(0, 2)), calls=draw(calls), results=draw(results), extra=draw(JSON)
    )


@st.composite
def case_results(draw: st.DrawFn) -> dict[str, Any]:
    case = builders.case_result(
        draw(st.sampled_from(["a", "b", "", "ü\n", "c"])),
        scores=draw(st.lists(SCORES, max_size=4)),
        eval_set=draw(JSON),
    )
    case["invocation"] = builders.invocation(
        draw(st.lists(turns(), max_size=4)), final=draw(st.none() | TEXT), note=draw(JSON)
    )
    return case


@st.composite
def traces(draw: st.DrawFn) -> dict[str, Any]:
    """Case results and scored traces, as they stand on lines."""
    trace = draw(case_results())
    if draw(st.booleans()):
        trace = {"case_id": trace["case_id"], "invocation": trace["invocation"], "score": draw(SCORES)}
    elif draw(st.booleans()):
        trace["score"] = draw(JSON)  # of a case result an unknown field
    if draw(st.booleans()):
        trace["eval_set_id"] = draw(st.sampled_from(["one", "two", ""]))
    return trace
