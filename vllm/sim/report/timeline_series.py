"""The steps of a run as columns, for charts."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..records import StepRecord

COLUMNS = (
    "start_ns", "end_ns", "prefill_tokens", "decode_tokens", "prefills", "decodes", "running",
    "waiting", "used_blocks", "free_blocks", "preempted", "finished", "cached_tokens",
    "out_of_domain", "sampled",
)  # fmt: skip

_FIRST = {"start_ns"}
_LAST = {"end_ns"}
_SUMMED = {"preempted", "finished", "cached_tokens", "out_of_domain", "sampled"}
_HIGHEST = {"running", "waiting", "used_blocks"}


class StepSeries:
    """A number for each column and step: about 100 bytes a step."""

    def __init__(self) -> None:
        self._rows: list[tuple[int, ...]] = []
        self.first_step = 0

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, step: StepRecord) -> None:
        if not self._rows:
            self.first_step = step.step
        composition = step.composition()
        tokens = sum(request.new_tokens for request in step.requests)
        self._rows.append(
            (
                step.start_ns, step.start_ns + step.duration_ns,
                composition.prefill_tokens, tokens - composition.prefill_tokens,
                composition.prefills, composition.decodes, step.running, step.waiting,
                step.used_blocks, step.free_blocks,
                len(step.preempted), len(step.finished), step.cached_tokens, not step.in_domain,
                sum(request.samples for request in step.requests),
            )
        )  # fmt: skip

    def columns(self, most: int | None = None) -> dict[str, npt.NDArray[np.float64]]:
        """Each column, one value a step, or one for several where there are more than ``most``.

        Of several steps: tokens and requests are the mean of a step, events the sum, and of
        queues and used blocks the highest, so that a peak is never lost.
        """
        table = np.array(self._rows, dtype=np.float64).reshape(-1, len(COLUMNS))
        columns = {name: table[:, place] for place, name in enumerate(COLUMNS)}
        together = self.together(most)
        if together == 1:
            return columns
        return {name: _grouped(name, values, together) for name, values in columns.items()}

    def together(self, most: int | None) -> int:
        """How many steps one value of :meth:`columns` stands for."""
        return max(1, -(-len(self) // most)) if most else 1


def _grouped(name: str, values: npt.NDArray[np.float64], together: int) -> npt.NDArray[np.float64]:
    starts = np.arange(0, len(values), together)
    if name in _FIRST:
        return values[starts]
    if name in _LAST:
        return np.maximum.reduceat(values, starts)
    if name in _SUMMED:
        return np.add.reduceat(values, starts)
    if name in _HIGHEST:
        return np.maximum.reduceat(values, starts)
    if name == "free_blocks":
        return np.minimum.reduceat(values, starts)
    return np.add.reduceat(values, starts) / np.diff([*starts, len(values)])
