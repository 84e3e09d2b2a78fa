"""``vllm sim prefix``: a replay whose KV blocks are watched, and what came of it."""

from __future__ import annotations

import copy
import gc
import json
import logging
import time
from typing import Any

from vllm.config import KVEventsConfig
from vllm.engine.arg_utils import EngineArgs
from vllm.v1.kv_cache_interface import KVCacheConfig

from ..metrics.folder import read_requests
from ..metrics.prefix import prefix_facts
from ..metrics.prefix_blocks import Blocks, blocks_of
from ..metrics.prefix_curve import cache_curve, curve_dict
from ..metrics.prefix_log import Columns, PrefixLog
from ..metrics.prefix_series import UsedBlocks, series
from ..records import RequestRecord, StepRecord
from ..report.prefix_files import write_blocks, write_requests
from .offline import OfflineEngine, offline_engine
from .prefix_executor import PrefixExecutor
from .prefix_hot import hottest_blocks
from .prefix_options import PrefixOptions
from .prefix_prefill import prefill_seconds_saved
from .prefix_size import BlockNeed, blocks_needed
from .prefix_stats import PrefixStats
from .prefix_watch import PrefixWatch
from .replay_rows import Prompts
from .replay_run import Replay, Source, prepare

logger = logging.getLogger("vllm.sim.prefix")

PREFIX = "prefix.json"


def run_prefix(engine_args: EngineArgs, options: PrefixOptions) -> dict[str, Any]:
    """Run a trace, watch its blocks, write the figures.

    Args:
        engine_args: Any; they are not changed.
        options: The trace, the cache, and where to write.

    Returns:
        The content of ``prefix.json``.

    Raises:
        SimError: The trace, a setting or the folder is wrong.
    """
    options.spare_recording()
    args = copy.deepcopy(engine_args)
    prepare(args)
    args.distributed_executor_backend = PrefixExecutor
    args.enable_prefix_caching = options.caching
    args.kv_events_config = KVEventsConfig(enable_kv_cache_events=options.caching, publisher="null")
    if not options.infinite:
        return _run_once(args, options)
    need = _need(args, options)
    facts = _run_with(args, options, need.expected)
    if facts["blocks_evicted"] and need.expected < need.bound:
        logger.info("requests held copies of each other's blocks: once more, with room for them")
        facts = _run_with(args, options, need.bound)
    return facts


def _run_with(args: EngineArgs, options: PrefixOptions, blocks: int) -> dict[str, Any]:
    args = copy.deepcopy(args)
    args.num_gpu_blocks_override = blocks
    logger.info("%s: a cache of %s blocks holds everything", options.name, f"{blocks:,}")
    return _run_once(args, options)


def _need(args: EngineArgs, options: PrefixOptions) -> BlockNeed:
    """Count with an engine that is as small as it can be."""
    args = copy.deepcopy(args)
    with options.opened() as source:
        header = source.reader.header
        config = copy.deepcopy(args).create_engine_config(options.context)
        size = config.cache_config.block_size
        least = -(-config.model_config.max_model_len // size) + 1
        args.num_gpu_blocks_override = least
        with offline_engine(args, options.context, header) as engine:
            need = blocks_needed(source, Prompts(engine, source.reader), size)
    return BlockNeed(max(need.expected, least), max(need.bound, least))


def _run_once(args: EngineArgs, options: PrefixOptions) -> dict[str, Any]:
    stats: list[PrefixStats] = []

    def statistics(config: Any, engine_index: int) -> PrefixStats:
        stats.append(PrefixStats(config, engine_index))
        return stats[-1]

    with options.opened() as source:
        with offline_engine(
            args, options.context, source.reader.header, statistics=[statistics]
        ) as engine:
            facts = _Run(engine, options, source).run()
            (counted,) = stats
            facts["prefix_cache_queries"], facts["prefix_cache_hits"] = (
                counted.queries, counted.hits,
            )  # fmt: skip
        gc.collect()  # millions of blocks, before the next run makes as many
    path = options.out / PREFIX
    path.write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return facts


class _Run:
    """One watched replay."""

    def __init__(self, engine: OfflineEngine, options: PrefixOptions, source: Source) -> None:
        executor, scheduler = engine.core.model_executor, engine.core.scheduler
        assert isinstance(executor, PrefixExecutor)
        self._engine, self._options, self._source = engine, options, source
        self._executor = executor
        self._log = PrefixLog(engine.config.cache_config.block_size)
        self._watch = PrefixWatch(scheduler, self._log)
        self._used = UsedBlocks()
        executor.on_schedule = self._watch.scheduled

    def run(self) -> dict[str, Any]:
        options, executor = self._options, self._executor
        replay = Replay(self._engine, options, self._source, fast_forward=False)
        with executor.observer.given_to(_KvUse(self._used)):
            summary = replay.run()
        replayed_s = time.monotonic()
        self._watch.finish(executor.clock.now_ns())
        columns = self._log.columns()
        blocks = blocks_of(columns)
        records = list(read_requests(options.out))
        facts = {
            **self._conditions(summary),
            **prefix_facts(self._log, columns, blocks),
            "prefill_seconds_saved": self._saved(columns),
            "busy_seconds": summary["busy_seconds"],
            "cache_curve": self._curve(columns, blocks),
            "over_time": series(columns, self._used),
            "hottest_blocks": self._hottest(columns, blocks, records),
        }
        write_requests(options.out, self._log.request_ids, columns, records)
        facts["blocks_csv_rows"] = write_blocks(
            options.out, columns, blocks, _lines(records), self._log
        )
        facts["wall_seconds"] = {
            "replay": summary["wall_seconds"], "analysis": time.monotonic() - replayed_s,
        }  # fmt: skip
        return facts

    def _conditions(self, summary: dict[str, Any]) -> dict[str, Any]:
        keys = (
            "complete", "model_id", "block_size", "num_gpu_blocks", "max_num_seqs",
            "max_num_batched_tokens", "latency", "refused", "preemptions", "simulated_seconds",
        )  # fmt: skip
        options = self._options
        return {
            "name": options.name,
            "trace": options.trace.name,
            **{key: summary[key] for key in keys},
            "prefix_caching": options.caching,
            "infinite": options.infinite,
            "prefill_only": options.prefill_only,
            "bytes_per_block": self._bytes_per_block,
        }

    @property
    def _bytes_per_block(self) -> int:
        scheduler = self._engine.core.scheduler
        ranks = self._engine.config.parallel_config.world_size
        return ranks * bytes_per_block(scheduler.kv_cache_config)

    def _saved(self, columns: Columns) -> float | None:
        chunk = self._engine.config.scheduler_config.max_num_batched_tokens
        pairs = zip(columns.prompt_tokens.tolist(), columns.cached_tokens.tolist(), strict=True)
        return prefill_seconds_saved(self._executor.latency, chunk, pairs)

    def _curve(self, columns: Columns, blocks: Blocks) -> dict[str, Any] | None:
        if not self._options.caching:
            return None
        curve = cache_curve(columns, blocks, self._log.block_size)
        facts = curve_dict(curve, self._bytes_per_block)
        usable = self._engine.config.cache_config.num_gpu_blocks - 1
        return {**facts, "estimate_for_this_cache": curve.hit_rate(usable)}

    def _hottest(
        self, columns: Columns, blocks: Blocks, records: list[RequestRecord]
    ) -> list[dict[str, Any]]:
        by_id = _lines(records)
        lines = [by_id[request_id] for request_id in self._log.request_ids]
        reader = self._source.reader
        prompts = Prompts(self._engine, reader)
        return hottest_blocks(columns, blocks, lines, reader, prompts, self._log.block_size)


class _KvUse:
    """Takes from each step how many blocks requests hold."""

    def __init__(self, used: UsedBlocks) -> None:
        self._used = used

    def write(self, record: StepRecord) -> None:
        self._used.add(record.start_ns, record.used_blocks)

    def close(self) -> None:
        pass


def _lines(records: list[RequestRecord]) -> dict[str, int]:
    return {record.id: record.trace_line or 0 for record in records}


def bytes_per_block(config: KVCacheConfig) -> int:
    """Of one rank. A block belongs to one group of layers at a time; the largest decides."""
    return max(
        len(group.layer_names) * group.kv_cache_spec.page_size_bytes
        for group in config.kv_cache_groups
    )
