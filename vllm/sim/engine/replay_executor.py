"""The executor of a replay: virtual time, and each request's own answer."""

from __future__ import annotations

from vllm.tokenizers import TokenizerLike

from ..clock import DeviceTimeline, VirtualClock
from .executor import SimExecutor
from .replay_answers import ReplayAnswers


class ReplayExecutor(SimExecutor):
    """Passed as the class ``distributed_executor_backend``, which the platform keeps."""

    def _make_clock(self) -> VirtualClock:
        return VirtualClock()

    def _make_answers(self, tokenizer: TokenizerLike | None) -> ReplayAnswers:
        self.answers = ReplayAnswers()
        return self.answers

    def restart_time(self) -> None:
        """Begin again at 0, for another run of an engine that has nothing left to do."""
        self.clock = self._make_clock()
        self._timeline = DeviceTimeline(self.parallel_config.pipeline_parallel_size)
