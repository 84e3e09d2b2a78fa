"""Arrivals, against what ``vllm bench serve`` makes of the same options."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vllm.sim.workload.arrivals import Arrivals, Process
from vllm.sim.workload.distribution import Distribution
from vllm.sim.workload.random_streams import stream

PROCESSES: list[Process] = ["poisson", "gamma", "constant", "burst"]


def cv(times: np.ndarray) -> float:
    gaps = np.diff(times, prepend=0)
    return float(gaps.std() / gaps.mean())


@pytest.mark.parametrize("process", PROCESSES)
@given(requests=st.integers(1, 50), rate=st.floats(0.01, 1000), seed=st.integers(0, 2**32))
def test_times_ascend_from_0_and_keep_the_rate(
    process: Process, requests: int, rate: float, seed: int
) -> None:
    times = Arrivals(rate, process, burst_size=3, burstiness=0.5).times(requests, seed)
    assert len(times) == requests
    assert (np.diff(times) >= 0).all() and times[0] >= 0
    if process == "burst":
        assert times[-1] == pytest.approx((requests - 1) // 3 * 3 / rate)
    else:
        assert times[-1] == pytest.approx(requests / rate)


@pytest.mark.parametrize("burstiness", [0.25, 1.0, 4.0])
def test_burstiness_is_the_shape_of_the_gaps(burstiness: float) -> None:
    """A gamma distribution of shape k has a coefficient of variation of 1/sqrt(k)."""
    times = Arrivals(10, "gamma", burstiness).times(200_000, seed=1)
    assert cv(times) == pytest.approx(burstiness**-0.5, rel=0.02)


def test_poisson_is_burstiness_1_and_constant_is_infinite() -> None:
    assert (Arrivals(3, "poisson").times(9, 5) == Arrivals(3, "gamma", 1.0).times(9, 5)).all()
    endless = Arrivals(4, "gamma", float("inf")).times(8, 0)
    assert endless.tolist() == Arrivals(4, "constant").times(8, 0).tolist()
    assert endless.tolist() == [n / 4 for n in range(1, 9)]


def test_a_burst_comes_at_once() -> None:
    assert Arrivals(2, "burst").times(5, 0).tolist() == [0] * 5
    assert Arrivals(2, "burst", burst_size=2).times(5, 0).tolist() == [0, 0, 1, 1, 2]


@pytest.mark.parametrize("burstiness", [0.3, 1.0, 2.5])
def test_the_same_process_as_vllm_bench_serve(burstiness: float) -> None:
    """As its ``get_request`` computes them: gamma gaps, scaled to end at requests / rate."""
    from scipy.stats import ks_2samp

    requests, rate = 20_000, 7.0
    source = np.random.default_rng(0)
    theirs = np.cumsum(source.gamma(burstiness, 1 / (rate * burstiness), requests))
    theirs *= requests / rate / theirs[-1]
    ours = Arrivals(rate, "gamma", burstiness).times(requests, seed=3)
    assert ks_2samp(np.diff(ours), np.diff(theirs)).pvalue > 0.001


def test_streams_do_not_disturb_each_other() -> None:
    first = stream(7, "arrivals").random(3).tolist()
    assert stream(7, "arrivals").random(3).tolist() == first
    assert stream(7, "think time").random(3).tolist() != first
    assert stream(8, "arrivals").random(3).tolist() != first


@pytest.mark.parametrize(
    ("text", "mean"),
    [("500", 500), ("uniform:100,900", 500), ("exponential:500", 500), ("lognormal:500,1.2", 500)],
)
def test_distributions_have_the_mean_they_say(text: str, mean: float) -> None:
    distribution = Distribution.parse(text)
    assert str(distribution) == text
    source = stream(0, text)
    draws = [distribution.draw(source) for _ in range(100_000)]
    assert np.mean(draws) == pytest.approx(mean, rel=0.03)
    assert min(draws) >= 0
    counts = [distribution.draw_count(source) for _ in range(1000)]
    assert min(counts) >= 1 and all(isinstance(count, int) for count in counts)


def test_lognormal_has_the_spread_it_says() -> None:
    source = stream(0, "spread")
    draws = [Distribution.parse("lognormal:300,0.5").draw(source) for _ in range(100_000)]
    assert np.std(draws) / np.mean(draws) == pytest.approx(0.5, rel=0.03)


def test_uniform_counts_reach_both_ends() -> None:
    source = stream(0, "ends")
    draws = {Distribution.parse("uniform:2,4").draw_count(source) for _ in range(200)}
    assert draws == {2, 3, 4}


@pytest.mark.parametrize(
    "text", ["", "x", "uniform:5", "uniform:9,5", "normal:1,2", "-3", "nan", "inf", "lognormal:0,1"]
)
def test_what_is_no_distribution_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no distribution|must be|above"):
        Distribution.parse(text)
