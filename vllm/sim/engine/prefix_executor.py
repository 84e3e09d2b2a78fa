"""The executor of the prefix laboratory: a replay's, with someone looking over its shoulder."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future

from vllm.v1.core.sched.output import SchedulerOutput
from vllm.v1.outputs import ModelRunnerOutput

from .replay_executor import ReplayExecutor

OnSchedule = Callable[[SchedulerOutput, int], None]


class PrefixExecutor(ReplayExecutor):
    """Shows each decision of the scheduler before it answers it.

    Attributes:
        on_schedule: Called with the decision, and with the clock's time in nanoseconds.
    """

    on_schedule: OnSchedule | None = None

    def execute_model(
        self, scheduler_output: SchedulerOutput, non_block: bool = False
    ) -> ModelRunnerOutput | Future[ModelRunnerOutput | None] | None:
        if self.on_schedule is not None:
            self.on_schedule(scheduler_output, self.clock.now_ns())
        return super().execute_model(scheduler_output, non_block)
