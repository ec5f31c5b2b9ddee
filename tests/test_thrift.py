"""Thrift structs are decoded and encoded as the compact protocol has it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polars_export.writers import thrift

if TYPE_CHECKING:
    from polars_export.writers.thrift import Struct

THRIFT_SCALARS: dict[int, st.SearchStrategy[Any]] = {
    thrift.BOOL: st.booleans(),
    thrift.I8: st.integers(-(2**7), 2**7 - 1),
    thrift.I16: st.integers(-(2**15), 2**15 - 1),
    thrift.I32: st.integers(-(2**31), 2**31 - 1),
    thrift.I64: st.integers(-(2**63), 2**63 - 1),
    thrift.DOUBLE: st.floats(allow_nan=False),
    thrift.BINARY: st.binary(max_size=200),
}


def thrift_lists(elements: dict[int, st.SearchStrategy[Any]]) -> st.SearchStrategy[thrift.List]:
    return st.one_of(
        [st.builds(thrift.List, st.just(kind), st.lists(values, max_size=20)) for kind, values in elements.items()]
    )


def thrift_structs(values: dict[int, st.SearchStrategy[Any]]) -> st.SearchStrategy[Struct]:
    ids = st.integers(-(2**15), 2**15 - 1) | st.integers(1, 40)
    return st.dictionaries(
        ids, st.one_of([st.tuples(st.just(kind), some) for kind, some in values.items()]), max_size=6
    )


LISTS = thrift_lists(THRIFT_SCALARS | {thrift.FALSE: st.booleans()})
NESTED = THRIFT_SCALARS | {thrift.LIST: LISTS, thrift.SET: LISTS}
NESTED |= {thrift.STRUCT: thrift_structs(NESTED)}
STRUCTS = thrift_structs(NESTED | {thrift.LIST: LISTS | thrift_lists(NESTED)})


@given(STRUCTS, st.binary(max_size=3))
def test_a_thrift_struct_comes_out_as_it_went_in(struct: Struct, around: bytes) -> None:
    data = thrift.encode(struct)
    assert thrift.decode(around + data + around, len(around)) == (struct, len(around + data))
    assert thrift.encode(thrift.decode(data)[0]) == data  # the order of the fields too, and the sign of zero


@given(STRUCTS, st.data())
def test_a_thrift_struct_that_is_cut_off_is_refused(struct: Struct, data: st.DataObject) -> None:
    whole = thrift.encode(struct)
    with pytest.raises(ValueError, match="cut off"):
        thrift.decode(whole[: data.draw(st.integers(0, len(whole) - 1))])


@pytest.mark.parametrize(
    ("struct", "data"),
    [
        ({}, "00"),
        ({1: (thrift.I32, 1)}, "15 02 00"),
        ({1: (thrift.I64, -1), 16: (thrift.I16, 64), 32: (thrift.I64, 0)}, "16 01 f4 80 01 06 40 00 00"),
        ({1: (thrift.BOOL, True), 3: (thrift.BOOL, False)}, "11 22 00"),
        ({100: (thrift.BOOL, False), 99: (thrift.I8, -2)}, "02 c8 01 03 c6 01 fe 00"),
        ({1: (thrift.DOUBLE, 1.0)}, "17 00 00 00 00 00 00 f0 3f 00"),
        ({1: (thrift.BINARY, b"ab"), 2: (thrift.STRUCT, {})}, "18 02 61 62 1c 00 00"),
        ({1: (thrift.LIST, thrift.List(thrift.BOOL, [True, False]))}, "19 21 01 02 00"),
        ({1: (thrift.SET, thrift.List(thrift.FALSE, [True, False]))}, "1a 22 01 02 00"),
        ({1: (thrift.LIST, thrift.List(thrift.I32, [0] * 15))}, "19 f5 0f" + " 00" * 16),
    ],
)
def test_thrift_is_spelt_as_specified(struct: Struct, data: str) -> None:
    assert thrift.encode(struct) == bytes.fromhex(data)
    assert thrift.decode(bytes.fromhex(data)) == (struct, len(bytes.fromhex(data)))


def test_the_rest_of_a_thrift_struct_can_be_read_alone() -> None:
    data = thrift.encode({3: (thrift.I32, 7), 5: (thrift.BOOL, True), 30: (thrift.I32, 8)})
    assert thrift.decode(data, 2, after=3) == ({5: (thrift.BOOL, True), 30: (thrift.I32, 8)}, len(data))


def test_an_inner_thrift_struct_may_be_given_as_bytes() -> None:
    inner: Struct = {1: (thrift.I32, 7)}
    in_a_list = {1: (thrift.LIST, thrift.List(thrift.STRUCT, [inner])), 2: (thrift.STRUCT, inner)}
    raw = {
        1: (thrift.LIST, thrift.List(thrift.STRUCT, [thrift.encode(inner)])),
        2: (thrift.STRUCT, thrift.encode(inner)),
    }
    assert thrift.encode(raw) == thrift.encode(in_a_list)


@pytest.mark.parametrize("data", ["1b 00 00", "19 1b 00 00", "1d 00", "10 00"])
def test_thrift_of_other_types_is_refused(data: str) -> None:
    with pytest.raises(ValueError, match="not supported"):
        thrift.decode(bytes.fromhex(data))
