"""Schedulers of a few lines each, for docs/continuous-batching.md and docs/policies.md.

Each is vLLM's own scheduler with another order of admission. `--scheduler-cls` takes them.
"""

from vllm.v1.core.sched.async_scheduler import AsyncScheduler
from vllm.v1.core.sched.request_queue import create_request_queue


class ShortestFirst(AsyncScheduler):
    """The waiting request with the fewest tokens to prefill goes first."""

    def schedule(self, *args, **kwargs):
        by_length = sorted(self.waiting, key=lambda request: request.num_tokens)
        self.waiting.clear()
        self.waiting.extend(by_length)
        return super().schedule(*args, **kwargs)


class PatientShortestFirst(AsyncScheduler):
    """As ShortestFirst, but each step of waiting counts for some tokens, so none waits forever."""

    TOKENS_A_STEP = 16

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._since = {}  # request id: the step at which it was first seen waiting

    def schedule(self, *args, **kwargs):
        self._since = {
            request.request_id: self._since.get(request.request_id, self.current_step)
            for request in self.waiting
        }
        in_order = sorted(self.waiting, key=self._length_less_patience)
        self.waiting.clear()
        self.waiting.extend(in_order)
        return super().schedule(*args, **kwargs)

    def _length_less_patience(self, request):
        waited = self.current_step - self._since[request.request_id]
        return request.num_tokens - self.TOKENS_A_STEP * waited


class StaticBatching(AsyncScheduler):
    """Nobody joins a batch that runs: how serving worked before continuous batching."""

    def schedule(self, *args, **kwargs):
        if not self.running:
            return super().schedule(*args, **kwargs)
        waiting, self.waiting = self.waiting, create_request_queue(self.policy)
        output = super().schedule(*args, **kwargs)
        # Whoever was preempted meanwhile goes to the front.
        waiting.prepend_requests(reversed(list(self.waiting)))
        self.waiting = waiting
        return output
