"""Hash ids under another block size, and out of tokens."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vllm.sim.trace.blocks import ids_of_tokens, reblock, unshared_ids

PROMPTS = st.lists(st.integers(0, 5), min_size=1, max_size=6)


@given(ids=PROMPTS, parts=st.sampled_from([1, 2, 4, 32]), missing=st.integers(0, 15))
def test_smaller_and_back_is_the_same_sharing(ids: list[int], parts: int, missing: int) -> None:
    length = len(ids) * 16 * parts - missing
    small = reblock(ids, length, 16 * parts, 16, 0)
    assert len(small) == -(-length // 16)
    back = reblock(small, length, 16, 16 * parts, 0)
    assert len(back) == len(ids)
    assert [a == b for a in ids for b in ids if missing == 0] == [
        a == b for a in back for b in back if missing == 0
    ]


@given(one=PROMPTS, other=PROMPTS)
def test_a_larger_block_is_shared_where_all_inside_is(one: list[int], other: list[int]) -> None:
    large = [reblock(ids, len(ids) * 16, 16, 32, n) for n, ids in enumerate((one, other))]
    for at in range(min(map(len, large))):
        inside = one[2 * at : 2 * at + 2] == other[2 * at : 2 * at + 2]
        assert (large[0][at] == large[1][at]) == inside


def test_huge_ids_do_not_overflow() -> None:
    ids = reblock([2**63 - 1, 2**63 - 2], 1024, 512, 16, 0)
    assert len(set(ids)) == 64 and max(ids) < 2**63


def test_what_no_id_covers_is_the_rows_own() -> None:
    one, other = (reblock([1], 100, 64, 64, row) for row in (1, 2))
    assert one[0] == other[0] == 1 and one[1] != other[1]


def test_block_sizes_that_do_not_divide_are_refused() -> None:
    with pytest.raises(ValueError, match="one must divide the other"):
        reblock([1], 20, 48, 32, 0)


def test_ids_of_tokens_are_chained() -> None:
    one, other = ids_of_tokens([1] * 16 + [2] * 16, 16), ids_of_tokens([3] * 16 + [2] * 16, 16)
    assert one[0] != other[0] and one[1] != other[1]
    assert ids_of_tokens([1] * 20, 16)[0] == one[0]
    assert len(ids_of_tokens([1] * 20, 16)) == 2
    # The same on every machine: traces are compared by these.
    assert ids_of_tokens([1, 2, 3], 16) == FROZEN


FROZEN = [417179348069967445]


def test_unshared_ids_are_never_equal() -> None:
    assert len({each for row in range(50) for each in unshared_ids(100, 16, row)}) == 350
