"""The laboratory's figures against what the trace holds, and against vLLM's own counters."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from support.paths import DEMO_MODEL, REPOSITORY, shared_data

from prefix.conftest import BLOCK, Facts, RunPrefix, sessions
from vllm.sim.cli.main import main
from vllm.sim.metrics.folder import read_requests
from vllm.sim.trace.reuse import PrefixReuse

pytestmark = pytest.mark.engine

KEYS = (
    "total_requests prompt_tokens shared_tokens prefix_cache_hit_rate blocks_allocated "
    "blocks_reused unique_blocks blocks_evicted block_reuse_rate sharing_fraction "
    "block_hit_count reuse_gap_s"
).split()


def test_the_keys_that_people_rely_on(infinite: Facts) -> None:
    written = json.loads((infinite["out"] / "prefix.json").read_text())
    assert [key for key in written if key in KEYS] == KEYS
    for name in ("sharing_fraction", "block_hit_count", "reuse_gap_s"):
        assert {"mean", "median", "min", "max", "p95"} <= written[name].keys()


def test_an_infinite_cache_finds_every_whole_block_seen_before(infinite: Facts) -> None:
    seen: set[tuple[int, ...]] = set()
    hits = prompt_tokens = 0
    for row in sessions():
        ids, length = row["hash_ids"], row["input_length"]
        prompt_tokens += length
        whole = length // BLOCK
        usable = (length - 1) // BLOCK
        hits += sum(tuple(ids[: at + 1]) in seen for at in range(usable))
        seen |= {tuple(ids[: at + 1]) for at in range(whole)}
    assert infinite["prompt_tokens"] == prompt_tokens
    assert infinite["shared_tokens"] == hits * BLOCK
    assert infinite["blocks_reused"] == hits
    assert infinite["blocks_evicted"] == 0
    # Answers of 4 tokens complete a block of some prompts; it holds what no prompt has.
    completed = infinite["unique_blocks"] - len(seen)
    assert 0 < completed <= len(sessions())


def test_sums_agree_with_vllms_counters_to_the_token(infinite: Facts) -> None:
    assert infinite["prefix_cache_queries"] == infinite["prompt_tokens"]
    assert infinite["prefix_cache_hits"] == infinite["shared_tokens"]
    records = list(read_requests(infinite["out"]))
    assert sum(record.cached_tokens for record in records) == infinite["shared_tokens"]
    assert infinite["block_hit_count"]["mean"] * infinite["unique_blocks"] == pytest.approx(
        infinite["blocks_reused"]
    )
    assert infinite["reuse_gap_s"]["count"] == infinite["blocks_reused"]


def test_gaps_are_in_seconds_of_the_trace(infinite: Facts) -> None:
    # The system prompt is used every 2 s; nothing can be used again sooner.
    assert infinite["reuse_gap_s"]["min"] == pytest.approx(2.0, abs=0.5)
    assert infinite["reuse_gap_s"]["max"] <= 2.0 * len(sessions())
    first = infinite["hottest_blocks"][0]
    assert first["hits"] == len(sessions()) - 1 and first["place"] == 0 and first["line"] == 1
    assert first["text"] == "hash id 0 of the trace"


def test_tokens_saved_stand_for_prefill_time(
    infinite: Facts, run_prefix: RunPrefix, sessions_trace: Path
) -> None:
    """The estimate, each prompt alone, is the device time that caching really saves."""
    uncached = run_prefix(sessions_trace, caching=False, latency="roofline")
    saved = uncached["busy_seconds"] - infinite["busy_seconds"]
    assert infinite["prefill_seconds_saved"] == pytest.approx(saved, rel=0.05)
    assert uncached["shared_tokens"] == uncached["blocks_reused"] == uncached["blocks_evicted"] == 0
    assert uncached["unique_blocks"] == uncached["blocks_allocated"]
    assert uncached["blocks_allocated"] >= infinite["blocks_allocated"] + infinite["blocks_reused"]
    assert uncached["cache_curve"] is None and uncached["prefill_seconds_saved"] == 0


def test_a_small_cache_evicts_and_misses_what_it_held(
    run_prefix: RunPrefix, sessions_trace: Path, infinite: Facts
) -> None:
    small = run_prefix(sessions_trace, blocks=100)
    assert 0 < small["shared_tokens"] < infinite["shared_tokens"]
    assert small["shared_tokens"] == small["prefix_cache_hits"]
    assert 0 < small["evictions_needed_again"] <= small["blocks_evicted"]
    lost = (infinite["shared_tokens"] - small["shared_tokens"]) // BLOCK
    assert small["blocks_missed_after_eviction"] >= lost
    cached = small["over_time"]["cached_blocks"]
    assert max(cached) <= 99 and min(cached) >= 0
    # The same possible hits, whatever the cache was that they were seen with.
    for key in ("possible_hit_rate", "blocks_for_share_of_possible_hits"):
        assert small["cache_curve"][key] == infinite["cache_curve"][key]


def test_tables_have_a_row_for_each_request_and_block(infinite: Facts) -> None:
    with (infinite["out"] / "requests.csv").open() as file:
        requests = list(csv.DictReader(file))
    assert len(requests) == infinite["total_requests"]
    assert sum(int(row["shared_tokens"]) for row in requests) == infinite["shared_tokens"]
    with (infinite["out"] / "blocks.csv").open() as file:
        blocks = list(csv.DictReader(file))
    assert len(blocks) == infinite["unique_blocks"] == infinite["blocks_csv_rows"]
    assert sum(int(row["hits"]) for row in blocks) == infinite["blocks_reused"]
    assert [int(row["hits"]) for row in blocks] == sorted(
        (int(row["hits"]) for row in blocks), reverse=True
    )


def test_text_is_shown_and_answers_are_reused(run_prefix: RunPrefix) -> None:
    """The shipped trace of conversations: a turn finds the answer before it in the cache."""
    whole = run_prefix(REPOSITORY / "traces" / "sessions.jsonl", infinite=True)
    prompts = run_prefix(REPOSITORY / "traces" / "sessions.jsonl", infinite=True, prefill_only=True)
    assert "assistant" in whole["hottest_blocks"][0]["text"]
    assert whole["shared_tokens"] >= prompts["shared_tokens"] > 0


def test_the_verb_compares_and_its_files_stand_alone(
    tmp_path: Path, sessions_trace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(
        [
            "prefix", str(sessions_trace), "--model", str(DEMO_MODEL), "--max-model-len", "1024",
            "--num-gpu-blocks-override", "150", "--no-prefix-caching", "--prefill-only",
            "--out", str(tmp_path),
        ]
    )  # fmt: skip
    assert code == 0
    printed = capsys.readouterr().out
    assert "PREFIX SHARING METRICS" in printed and "sessions uncached" in printed
    for label in "Total Requests,Unique Blocks,Block Reuse Rate,Reuse Gaps".split(","):
        assert label in printed
    assert "for 90 % of the possible hits" in printed and "GiB on this model" in printed
    page = (tmp_path / "report.html").read_text()
    assert "{{" not in page and "http://" not in page.replace("http://www.w3.org/2000/svg", "")
    assert "https://" not in page and "<link" not in page and "src=" not in page
    for name in ("cache-size.png", "sharing.png", "over-time.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "sessions" / "prefix.json").exists()
    assert (tmp_path / "sessions-uncached" / "blocks.csv").exists()


@pytest.mark.slow
def test_mooncake_begins_as_an_infinite_cache_would(run_prefix: RunPrefix, tmp_path: Path) -> None:
    """The first 60 requests at the trace's own block size; docs/prefix.md has all of them."""
    trace = shared_data("traces", "mooncake", "conversation_trace.jsonl")
    rows = [json.loads(line) for line in trace.read_text().splitlines()[:400]]
    rows = [row for row in rows if row["input_length"] <= 1000][:60]
    reuse = PrefixReuse()
    for row in rows:
        reuse.add(row["hash_ids"][: (row["input_length"] - 1) // 512], 512, row["input_length"])
    reuse.finish()
    short = tmp_path / "short.jsonl"
    short.write_text("".join(json.dumps(row) + "\n" for row in rows))
    facts = run_prefix(short, infinite=True, prefill_only=True)
    assert facts["shared_tokens"] >= sum(reuse.hit_tokens)
