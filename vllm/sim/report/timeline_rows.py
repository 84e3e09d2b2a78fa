"""Steps as rows for people: what repeats is folded into one row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from ..records import StepRecord


@dataclass
class StepRow:
    """Some steps in a row with the same decodes, or a single step with news.

    Token counts and ``duration_ns`` are of one step (of the last one, and the mean).
    """

    first: int
    last: int
    start_ns: int
    total_ns: int
    prefill_tokens: int
    decode_tokens: int
    batch: int  # requests in the step
    running: int
    waiting: int
    free_blocks: int
    admitted: list[tuple[str, int, int]]  # id, its tokens in this step, cached tokens
    resumed: list[str]  # back after a preemption
    preempted: list[str]
    finished: list[str]
    ids: frozenset[str] = field(repr=False, default=frozenset())

    @property
    def steps(self) -> int:
        return self.last - self.first + 1

    @property
    def duration_ns(self) -> float:
        return self.total_ns / self.steps


class RowMaker:
    """Makes rows of steps as they come.

    Args:
        fold: Whether steps that repeat become one row.
    """

    def __init__(self, fold: bool = True) -> None:
        self._fold = fold
        self._seen: set[str] = set()
        self._preempted: set[str] = set()
        self.open: StepRow | None = None  # not handed out yet: the next step may continue it

    def add(self, step: StepRecord) -> StepRow | None:
        """Take a step; returns the row that it closes."""
        row = self._row(step)
        if self.open is not None and self._fold and _continues(self.open, row):
            self.open.last, self.open.free_blocks = row.last, row.free_blocks
            self.open.total_ns += row.total_ns
            return None
        closed, self.open = self.open, row
        return closed

    def skip(self, step: StepRecord) -> None:
        """A step that is not shown, but has to be known of."""
        self._row(step)

    def _row(self, step: StepRecord) -> StepRow:
        composition = step.composition()
        admitted, resumed = [], []
        self._preempted.update(step.preempted)
        for request in step.requests:
            if request.id in self._preempted:
                self._preempted.remove(request.id)
                resumed.append(request.id)
            if request.id not in self._seen:
                self._seen.add(request.id)
                admitted.append((request.id, request.new_tokens, request.cached_tokens))
        return StepRow(
            step.step, step.step, step.start_ns, step.duration_ns,
            composition.prefill_tokens,
            sum(one.new_tokens for one in step.requests if one.phase == "decode"),
            len(step.requests), step.running, step.waiting, step.free_blocks,
            admitted, resumed, step.preempted, step.finished,
            frozenset(request.id for request in step.requests),
        )  # fmt: skip


def rows_of(
    steps: Iterable[StepRecord], fold: bool = True, first: int = 0, last: int | None = None
) -> Iterator[StepRow]:
    """The rows of the steps from ``first`` to ``last``, both included."""
    maker = RowMaker(fold)
    for step in steps:
        if last is not None and step.step > last:
            break
        if step.step < first:
            maker.skip(step)
            continue
        if (row := maker.add(step)) is not None:
            yield row
    if maker.open is not None:
        yield maker.open


def _continues(row: StepRow, after: StepRow) -> bool:
    return (
        not row.prefill_tokens
        and not after.prefill_tokens
        and not (after.preempted or after.finished or after.admitted)
        and (row.ids, row.running, row.waiting) == (after.ids, after.running, after.waiting)
    )
