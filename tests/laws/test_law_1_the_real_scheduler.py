"""Law 1: the real scheduler and block manager decide; the simulator only answers.

That they decide the same as under a real model is shown in ``tests/exactness``. Here: they are
vLLM's own, untouched, whatever hooks have been installed.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from types import FunctionType

import pytest
from support.engines import core_of, running_engine

pytestmark = pytest.mark.engine


@pytest.mark.parametrize("async_scheduling", [False, True], ids=["sync", "async"])
def test_law_1_nothing_that_decides_is_patched(
    model: Path, traffic_trace: Path, async_scheduling: bool
) -> None:
    from vllm.v1.core.block_pool import BlockPool
    from vllm.v1.core.kv_cache_coordinator import KVCacheCoordinator
    from vllm.v1.core.kv_cache_manager import KVCacheManager
    from vllm.v1.core.sched.async_scheduler import AsyncScheduler
    from vllm.v1.core.sched.scheduler import Scheduler

    with running_engine(
        model, trace=traffic_trace, async_scheduling=async_scheduling, max_model_len=48,
        num_gpu_blocks_override=40, block_size=4,
    ) as engine:  # fmt: skip
        engine.step()  # hooks that wait for a first step are in place
        scheduler = core_of(engine).scheduler
        manager = scheduler.kv_cache_manager
        assert type(scheduler) is (AsyncScheduler if async_scheduling else Scheduler)
        assert type(manager) is KVCacheManager
        assert type(manager.block_pool) is BlockPool
        for instance in (scheduler, manager, manager.block_pool):
            assert not [name for name in vars(instance) if hasattr(type(instance), name)]
        for cls in (Scheduler, AsyncScheduler, KVCacheManager, KVCacheCoordinator, BlockPool):
            source = Path(inspect.getfile(cls))
            for name, member in vars(cls).items():
                plain = member.__func__ if isinstance(member, staticmethod) else member
                if callable(plain):
                    where = f"{cls.__name__}.{name}"
                    assert isinstance(plain, FunctionType), where  # and no wrapper
                    assert Path(plain.__code__.co_filename) == source, where
