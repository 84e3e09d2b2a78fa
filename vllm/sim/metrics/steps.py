"""The steps of a run, added up one by one."""

from __future__ import annotations

from ..records import StepRecord


class StepTally:
    """What a summary says about steps."""

    def __init__(self) -> None:
        self.steps = self.preemptions = self.out_of_domain = 0
        self.busy_ns = 0
        self.peak_running = self.peak_waiting = 0
        self.peak_kv_usage = 0.0  # share of the blocks

    def add(self, record: StepRecord) -> None:
        self.steps += 1
        self.busy_ns += record.duration_ns
        self.preemptions += len(record.preempted)
        self.out_of_domain += not record.in_domain
        if record.running > self.peak_running:
            self.peak_running = record.running
        if record.waiting > self.peak_waiting:
            self.peak_waiting = record.waiting
        blocks = record.used_blocks + record.free_blocks
        if blocks and record.used_blocks / blocks > self.peak_kv_usage:
            self.peak_kv_usage = record.used_blocks / blocks

    @property
    def in_domain_share(self) -> float:
        """Share of the steps that the latency model had seen the like of; 1.0 without steps."""
        return 1.0 - self.out_of_domain / self.steps if self.steps else 1.0
