"""Equal hash ids give equal blocks, unequal ones never: in every process, at every block size."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.paths import REPOSITORY, shared_data

from vllm.sim.trace.prompts import PromptBuilder, plain_token_ids
from vllm.sim.trace.read import TraceFile
from vllm.sim.trace.schema import TraceRow

VOCABULARIES = [range(256), range(100, 32_000), range(3, 128_000)]
IDS = st.integers(0, 2**64 - 1)
# The tokens that one 64-bit number takes: within these, different blocks part.
APART = {256: 8, 31_900: 5, 127_997: 4}


@pytest.mark.parametrize("ids", VOCABULARIES, ids=len)
@given(first=IDS, second=IDS)
def test_two_ids_part_within_the_first_tokens(ids: range, first: int, second: int) -> None:
    builder = PromptBuilder(ids)
    length = APART[len(ids)]
    same = builder.block(first, length) == builder.block(second, length)
    assert same == (first == second)


@pytest.mark.parametrize("ids", VOCABULARIES, ids=len)
def test_small_neighbouring_ids_never_collide_in_any_cell(ids: range) -> None:
    builder = PromptBuilder(ids)
    row = TraceRow(input_length=64 * 20_000, hash_ids=list(range(20_000)), block_size=64)
    cells = builder.prompt(row, 1).reshape(-1, 16)[:, : APART[len(ids)]]
    assert len(np.unique(cells, axis=0)) == len(cells)


@given(hash_id=IDS, length=st.integers(1, 100))
def test_scopes_never_share(hash_id: int, length: int) -> None:
    one, other = (PromptBuilder(range(1000), scope).block(hash_id, 16) for scope in ("a", "b"))
    assert one != other


@given(hash_id=IDS, lengths=st.lists(st.integers(1, 600), min_size=2, max_size=2))
def test_a_partial_block_is_the_start_of_the_whole_one(hash_id: int, lengths: list[int]) -> None:
    builder = PromptBuilder(range(5, 1000))
    short, long = sorted(lengths)
    assert builder.block(hash_id, long)[:short] == builder.block(hash_id, short)


@given(st.data())
def test_prompts_share_exactly_what_their_ids_share(data: st.DataObject) -> None:
    size = data.draw(st.sampled_from([16, 48, 64, 512]))
    divisor = data.draw(st.sampled_from([n for n in range(8, size + 1) if size % n == 0]))
    rows = [
        TraceRow(
            input_length=data.draw(st.integers((len(ids) - 1) * size + 1, len(ids) * size)),
            hash_ids=ids,
            block_size=size,
        )
        for ids in data.draw(st.tuples(*[st.lists(st.integers(0, 3), min_size=1, max_size=4)] * 2))
    ]
    one, other = (PromptBuilder(range(256)).prompt(row, n) for n, row in enumerate(rows))
    same_ids = _common(rows[0].hash_ids or [], rows[1].hash_ids or [])
    shortest = min(len(one), len(other))
    common = _common(_blocks(one, divisor), _blocks(other, divisor))
    assert common == min(same_ids * size, shortest) // divisor


def test_tokens_without_an_id_are_the_rows_own() -> None:
    builder = PromptBuilder(range(1000))
    row = TraceRow(input_length=100, hash_ids=[7], block_size=64)
    one, other = builder.prompt(row, 1), builder.prompt(row, 2)
    assert len(one) == 100
    assert (one[:64] == other[:64]).all() and (one[64:72] != other[64:72]).any()
    assert (builder.prompt(row, 1) == one).all()
    bare = TraceRow(input_length=100)
    assert (builder.prompt(bare, 1)[:16] != builder.prompt(bare, 2)[:16]).any()


def test_ids_stay_in_the_range() -> None:
    tokens = PromptBuilder(range(500, 900)).prompt(TraceRow(input_length=5000), 1)
    assert tokens.min() >= 500 and tokens.max() < 900


def test_every_process_writes_the_same() -> None:
    code = (
        "import json; from vllm.sim.trace.prompts import PromptBuilder; "
        "print(json.dumps(PromptBuilder(range(3, 32000), 'scope').block(12345, 40)))"
    )
    here = PromptBuilder(range(3, 32_000), "scope").block(12_345, 40)
    for seed in ("0", "1"):
        script = (
            "import sys, types; stub = types.ModuleType('vllm'); "
            f"stub.__path__ = [{str(REPOSITORY / 'vllm')!r}]; sys.modules['vllm'] = stub; {code}"
        )
        done = subprocess.run(
            [sys.executable, "-c", script], check=True, capture_output=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        )  # fmt: skip
        assert json.loads(done.stdout) == here


def test_what_was_written_once_stays_written() -> None:
    """A freeze: recorded runs are found again only if prompts never change."""
    assert PromptBuilder(range(3, 32_000)).block(1, 6) == FROZEN


FROZEN = [30816, 1644, 3829, 119, 15, 10970]


def test_too_few_ids_and_rows_without_a_block_size_are_refused() -> None:
    with pytest.raises(ValueError, match="256"):
        PromptBuilder(range(255))
    builder = PromptBuilder(range(256))
    with pytest.raises(ValueError, match="block_size"):
        builder.prompt(TraceRow(input_length=5, hash_ids=[1]), 1)
    with pytest.raises(ValueError, match="input_length"):
        builder.prompt(TraceRow(prompt="x"), 1)
    assert len(builder.prompt(TraceRow(input_length=5, hash_ids=[1]), 1, block_size=16)) == 5


@pytest.mark.parametrize(
    ("size", "special", "expected"),
    [
        (1000, [], range(1000)),
        (1000, [0, 1, 2], range(3, 1000)),
        (1000, [900, 901, 950], range(900)),
        (1000, [400, 1000, 2000], range(401, 1000)),
    ],
)
def test_plain_token_ids(size: int, special: list[int], expected: range) -> None:
    assert plain_token_ids(size, special) == expected


def test_mooncake_prompts_share_what_the_trace_says() -> None:
    """At 16-token blocks the prompts hit what the 512-token ids hit, rounded to blocks."""
    from vllm.sim.trace.blocks import ids_of_tokens
    from vllm.sim.trace.reuse import PrefixReuse

    path = shared_data("traces", "mooncake", "conversation_trace.jsonl")
    builder = PromptBuilder(range(32_000))
    by_ids, by_tokens = PrefixReuse(), PrefixReuse()
    for placed in TraceFile(path):
        row = placed.row
        if placed.line > 300:
            break
        assert row.input_length is not None and row.hash_ids is not None
        prompt = builder.prompt(row, placed.line, block_size=512)
        by_ids.add(row.hash_ids, 512, row.input_length)
        by_tokens.add(ids_of_tokens(prompt, 16), 16, row.input_length)
    by_ids.finish()
    by_tokens.finish()
    for said, found in zip(by_ids.hit_tokens, by_tokens.hit_tokens, strict=True):
        assert 0 <= said - found < 16  # the rest of a partial last block
    assert sum(by_ids.hit_tokens) > 0


def _blocks(tokens: np.ndarray, size: int) -> list[tuple[int, ...]]:
    full = len(tokens) // size * size
    return [tuple(block) for block in tokens[:full].reshape(-1, size).tolist()]


def _common(one: list, other: list) -> int:
    count = 0
    for mine, theirs in zip(one, other, strict=False):
        if mine != theirs:
            break
        count += 1
    return count
