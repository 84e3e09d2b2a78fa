"""Rank coordinates without processes: what model classes ask while they are built.

Layers take their share of the weights from ``vllm.distributed.parallel_state``. There
the groups are set, for the length of a build, to upstream's own ``GroupCoordinator``
objects that know their ranks and nothing else: nothing can be sent through them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from torch.distributed import ProcessGroup
from vllm.distributed import parallel_state

from ..errors import UpstreamMovedError

if TYPE_CHECKING:
    from vllm.config import ParallelConfig

_GROUPS = (
    "_WORLD",
    "_INNER_DP_WORLD",
    "_TP",
    "_ETP",
    "_ENGRAM_DP",
    "_DCP",
    "_PP",
    "_DP",
    "_EP",
    "_EPLB",
    "_PCP",
)
_GLOBALS = (*_GROUPS, "_NODE_COUNT")


@contextmanager
def first_rank_of_stage(parallel_config: ParallelConfig, stage: int) -> Iterator[None]:
    """Be rank 0 of pipeline stage `stage` inside the block, and nobody after it.

    Ranks are numbered as upstream numbers them: data, pipeline, prefill context and
    tensor parallel, the last one fastest. The tensor parallel ranks of a stage hold
    layers of the same shapes, so that the first speaks for all.

    Raises:
        UpstreamMovedError: parallel_state has other groups than the ones known here.
    """
    missing = [name for name in _GLOBALS if name not in vars(parallel_state)]
    if missing:
        raise UpstreamMovedError(
            f"vllm.distributed.parallel_state has no {', '.join(missing)} any more: "
            "adapt vllm/sim/engine/parallel_ranks.py"
        )
    before = {name: vars(parallel_state)[name] for name in _GLOBALS}
    vars(parallel_state).update(_coordinates(parallel_config, stage), _NODE_COUNT=1)
    try:
        yield
    finally:
        vars(parallel_state).update(before)


def _coordinates(
    config: ParallelConfig, stage: int
) -> dict[str, parallel_state.GroupCoordinator | None]:
    tp = config.tensor_parallel_size
    pcp = config.prefill_context_parallel_size
    pp = config.pipeline_parallel_size
    dp = config.data_parallel_size
    dcp = config.decode_context_parallel_size
    per_stage = tp * pcp
    per_replica = per_stage * pp
    dp_rank = config.data_parallel_rank
    rank = dp_rank * per_replica + stage * per_stage

    def group(name: str, ranks: list[int]) -> parallel_state.GroupCoordinator:
        return _coordinator(name, rank, ranks)

    stage_ranks = [
        replica * per_replica + stage * per_stage + offset
        for replica in range(dp)
        for offset in range(per_stage)
    ]
    tensor = group("tp", list(range(rank, rank + tp)))
    experts = group("ep", stage_ranks)
    return {
        "_WORLD": group("world", list(range(dp * per_replica))),
        "_INNER_DP_WORLD": group(
            "inner_dp_world", list(range(dp_rank * per_replica, (dp_rank + 1) * per_replica))
        ),
        "_TP": tensor,
        "_ETP": tensor,
        "_ENGRAM_DP": None,
        "_DCP": group("dcp", list(range(rank, rank + dcp))),
        "_PP": group("pp", [dp_rank * per_replica + s * per_stage for s in range(pp)]),
        "_DP": group("dp", [replica * per_replica + stage * per_stage for replica in range(dp)]),
        "_EP": experts,
        "_EPLB": experts if config.enable_eplb else None,
        "_PCP": group("pcp", list(range(rank, rank + per_stage, tp))),
    }


def _coordinator(name: str, rank: int, ranks: list[int]) -> parallel_state.GroupCoordinator:
    group = object.__new__(parallel_state.GroupCoordinator)
    group.unique_name = f"sim_{name}"
    group.rank = rank
    group.ranks = ranks
    group.world_size = len(ranks)
    group.rank_in_group = ranks.index(rank)
    group.local_rank = 0
    # Model classes ask the process group for its size. This one has no backend.
    group.cpu_group = ProcessGroup(group.rank_in_group, group.world_size)
    group.device_group = group.cpu_group
    group.device_communicator = None
    group.mq_broadcaster = None
    return group
