"""The requests of a run, added up one by one. ``docs/metrics.md`` has the formulas."""

from __future__ import annotations

from collections import Counter

from ..clock import NS_PER_S
from ..records import RequestRecord
from .samples import RepeatedSamples, Samples

# These were served to their end; the others count as failed.
COMPLETED = ("stop", "length")


class RequestTally:
    """What a summary says about requests."""

    def __init__(self) -> None:
        self.finish_reasons: Counter[str] = Counter()
        self.input_tokens = self.output_tokens = 0
        self.admitted_tokens = self.cached_tokens = 0  # of prompts that were looked up
        self.ttft_ns, self.tpot_ns, self.e2el_ns = Samples(), Samples(), Samples()
        self.itl_ns = RepeatedSamples()
        self.first_arrival_ns: int | None = None
        self.last_end_ns: int | None = None
        self._tokens_in_second: Counter[int] = Counter()
        self._change_in_second: Counter[int] = Counter()  # of requests on their way

    def add(self, record: RequestRecord) -> None:
        self.finish_reasons[record.finish_reason] += 1
        if record.first_token_ns is not None:
            self.admitted_tokens += record.prompt_tokens
            self.cached_tokens += record.cached_tokens
        if record.finish_reason == "refused":
            return
        if self.first_arrival_ns is None or record.arrival_ns < self.first_arrival_ns:
            self.first_arrival_ns = record.arrival_ns
        if record.finish_reason not in COMPLETED:
            return
        assert record.end_ns is not None and record.first_token_ns is not None
        self.input_tokens += record.prompt_tokens
        self.output_tokens += record.output_tokens
        self.last_end_ns = max(self.last_end_ns or 0, record.end_ns)
        self.ttft_ns.add(record.first_token_ns - record.arrival_ns)
        self.e2el_ns.add(record.end_ns - record.arrival_ns)
        if (tpot_ns := record.tpot_ns) is not None:
            self.tpot_ns.add(tpot_ns)
        self.itl_ns.extend(record.itl_ns)
        self._count_seconds(record)

    @property
    def completed(self) -> int:
        return sum(self.finish_reasons[reason] for reason in COMPLETED)

    @property
    def failed(self) -> int:
        return self.finish_reasons.total() - self.completed

    @property
    def duration_s(self) -> float:
        """From the first arrival to the end of the last request that completed."""
        if self.first_arrival_ns is None or self.last_end_ns is None:
            return 0.0
        return (self.last_end_ns - self.first_arrival_ns) / NS_PER_S

    @property
    def peak_tokens_per_s(self) -> float:
        """Most output tokens in one second of the clock."""
        return float(max(self._tokens_in_second.values(), default=0))

    @property
    def peak_concurrency(self) -> int:
        """Most requests that were on their way in the same second of the clock."""
        peak = current = 0
        for _, change in sorted(self._change_in_second.items()):
            current += change
            peak = max(peak, current)
        return peak

    def _count_seconds(self, record: RequestRecord) -> None:
        assert record.end_ns is not None and record.first_token_ns is not None
        at_ns = record.first_token_ns
        second, tokens = at_ns // NS_PER_S, 1
        for gap_ns in record.itl_ns:
            at_ns += gap_ns
            if at_ns // NS_PER_S != second:
                self._tokens_in_second[second] += tokens
                second, tokens = at_ns // NS_PER_S, 0
            tokens += 1
        self._tokens_in_second[second] += tokens
        self._change_in_second[record.arrival_ns // NS_PER_S] += 1
        self._change_in_second[record.end_ns // NS_PER_S + 1] -= 1
