"""Step times from measured kernels: the extra ``[aic]``."""

from __future__ import annotations

from ..devices.device import Device
from ..records import Composition, StepRecord
from .aic_tables import read_kernel_tables
from .communication import (
    COMMUNICATION_KEYS,
    AllReduce,
    check_layout,
    communication_us,
    read_all_reduce,
)
from .host import HOST_KEYS, HostTime, read_host
from .kernel_tables import KernelTables
from .model import StatelessModel, StepTime
from .parameters import Parameters
from .shape import ModelShape

KEYS = (*HOST_KEYS, *COMMUNICATION_KEYS)


class MeasuredKernels(StatelessModel):
    """A step is its kernels, one after the other, and the host's time.

    Args:
        tables: Kernel times.
        shape: The model that they are of.
        host: Time on the host.
        all_reduce: Communication between ranks; None: as the tables have it.
    """

    def __init__(
        self,
        tables: KernelTables,
        shape: ModelShape,
        host: HostTime | None = None,
        all_reduce: AllReduce | None = None,
    ) -> None:
        self._tables, self._shape = tables, shape
        self._host, self._all_reduce = host or HostTime(), all_reduce

    def step_time(self, step: StepRecord) -> StepTime:
        batch = step.composition()
        return StepTime(round(self.step_us(batch) * 1000), batch in self._tables)

    def step_us(self, batch: Composition) -> float:
        """Microseconds for a batch, host included."""
        requests = batch.prefills + batch.decodes
        host_us = self._host.step_us + self._host.request_us * requests
        if not requests:
            return host_us
        tokens = batch.prefill_tokens + batch.decodes
        if self._all_reduce is not None:
            between_us = communication_us(self._shape, self._all_reduce, tokens, requests)
        else:
            between_us = self._tables.communication(tokens)
        return host_us + self._tables.compute_us(batch) + between_us

    def describe(self) -> str:
        source = "as measured" if self._all_reduce is None else "by rate"
        return (
            f"aiconfigurator: measured kernels at tp {self._shape.tp}, communication {source}; "
            f"{self._host.describe()}"
        )


def build_aiconfigurator(text: str, device: Device, shape: ModelShape) -> MeasuredKernels:
    """``aiconfigurator[:host_us=…,request_us=…,allreduce_us=…,allreduce_gbps=…]``.

    The measured all-reduces are far too fast over PCIe, and hold no pipeline stages, so
    there, and where a number is given, communication is computed.

    Raises:
        LatencyError: A parameter is wrong, or there are no tables for these two.
    """
    given = Parameters("aiconfigurator", text, KEYS)
    host, all_reduce = read_host(given), read_all_reduce(given, device)
    check_layout(device, shape)
    explicit = any(key in given for key in COMMUNICATION_KEYS)
    measured = device.interconnect == "nvlink" and shape.pp == 1 and not explicit
    tables = read_kernel_tables(device, shape)
    return MeasuredKernels(tables, shape, host, None if measured else all_reduce)
