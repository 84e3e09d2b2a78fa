"""vLLM's own counters of the prefix cache, through its interface for statistics."""

from __future__ import annotations

from vllm.config import VllmConfig
from vllm.v1.metrics.loggers import StatLoggerBase
from vllm.v1.metrics.stats import IterationStats, MultiModalCacheStats, SchedulerStats


class PrefixStats(StatLoggerBase):
    """Adds up ``prefix_cache_stats``: what ``vllm:prefix_cache_queries`` and ``_hits`` show.

    Attributes:
        queries: Tokens that were looked up.
        hits: Of these, tokens that were found.
    """

    def __init__(self, vllm_config: VllmConfig, engine_index: int = 0) -> None:
        self.queries = self.hits = 0

    def record(
        self,
        scheduler_stats: SchedulerStats | None,
        iteration_stats: IterationStats | None,
        mm_cache_stats: MultiModalCacheStats | None = None,
        engine_idx: int = 0,
    ) -> None:
        if scheduler_stats is not None:
            self.queries += scheduler_stats.prefix_cache_stats.queries
            self.hits += scheduler_stats.prefix_cache_stats.hits

    def log_engine_initialized(self) -> None:
        pass
