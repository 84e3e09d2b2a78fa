"""Statistics of samples are numpy's, whichever way the samples are kept."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vllm.sim.metrics.samples import RepeatedSamples, Samples

PERCENTS = (0, 50, 90, 95, 99, 100)
VALUES = st.lists(st.integers(0, 10**10), min_size=1, max_size=60)


@pytest.mark.parametrize("kind", [Samples, RepeatedSamples])
@given(values=VALUES)
def test_like_numpy(kind: type[Samples], values: list[int]) -> None:
    samples = kind()
    for value in values:
        samples.add(value)
    assert samples.mean() == pytest.approx(np.mean(values))
    assert samples.std() == pytest.approx(np.std(values), abs=1e-3)
    assert samples.percentiles(PERCENTS) == pytest.approx(list(np.percentile(values, PERCENTS)))


def test_repeated_samples_can_come_in_numbers() -> None:
    samples = RepeatedSamples()
    samples.extend([3, 3, 3, 5])
    samples.extend([5])
    assert samples.mean() == pytest.approx(3.8)
    assert samples.percentiles([50]) == [3]


def test_nothing_is_zero() -> None:
    assert Samples().mean() == Samples().std() == 0
    assert RepeatedSamples().percentiles([50, 99]) == [0, 0]
