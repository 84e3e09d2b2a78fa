"""Fitting: known coefficients come back, noise and stalls do not bend them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from latency_batches import add, data_folder, decode, prefill, step_of

from vllm.sim.errors import LatencyError, RecordingError
from vllm.sim.latency.calibrate import calibrate
from vllm.sim.latency.fit import Sample, fit_steps
from vllm.sim.latency.fitted import load_fitted
from vllm.sim.latency.terms import TERMS, term_values
from vllm.sim.records import Composition, ScheduledRequest
from vllm.sim.step_log import StepLog

TRUTH_US = {
    "step": 5000.0,
    "prefill_request": 100.0,
    "prefill_pair": 0.002,
    "decode_request": 20.0,
    "decode_kv_token": 0.05,
    "token_to_256": 15.0,
    "token_above_256": 30.0,
}


def batches(count: int) -> list[Composition]:
    random = np.random.default_rng(7)
    made = []
    for _ in range(count):
        batch = decode(int(random.integers(1, 200)), int(random.integers(10, 4000)))
        if random.random() < 0.4:
            chunk = prefill(
                int(random.integers(16, 2048)),
                int(random.integers(0, 4000)),
                int(random.integers(1, 4)),
            )
            batch = chunk if random.random() < 0.2 else add(batch, chunk)
        made.append(batch)
    return made


def truth_ns(batch: Composition) -> float:
    values = dict(zip(TERMS, term_values(batch), strict=True))
    return 1000 * sum(coefficient * values[term] for term, coefficient in TRUTH_US.items())


def samples(count: int, noise: float, stalls: float = 0.0) -> list[Sample]:
    random = np.random.default_rng(11)
    made = []
    for batch in batches(count):
        factor = 1 + noise * random.standard_normal()
        if random.random() < stalls:
            factor *= random.uniform(1.5, 20)
        made.append((batch, round(truth_ns(batch) * factor)))
    return made


def test_exact_steps_give_the_coefficients_back() -> None:
    model, report = fit_steps(samples(600, noise=0.0))
    for term in TERMS:
        assert model.coefficients_us.get(term, 0.0) == pytest.approx(
            TRUTH_US.get(term, 0.0), rel=1e-3, abs=1e-3
        )
    assert report.held_out.mean_abs_error < 1e-4
    assert report.held_out_prefills is not None
    assert 0 < report.held_out_prefills.steps < report.held_out.steps


def test_noise_and_stalls_do_not_bend_the_fit() -> None:
    model, report = fit_steps(samples(3000, noise=0.03, stalls=0.03))
    unseen = batches(4000)[3000:]
    errors = [model.step_time_of(batch) / truth_ns(batch) - 1 for batch in unseen]
    assert np.mean(np.abs(errors)) < 0.03
    assert report.stalls > 20
    assert 0 < report.stalled_share < 0.4
    assert report.held_out.median_abs_error < 0.035
    assert abs(report.held_out.total_time_error) < 0.03
    assert model.coefficients_us["decode_kv_token"] == pytest.approx(0.05, rel=0.05)
    assert model.coefficients_us["prefill_pair"] == pytest.approx(0.002, rel=0.05)


def test_coefficients_are_never_negative() -> None:
    falling = [(decode(n, 100), 10_000_000 - 10_000 * n) for n in range(1, 200)]
    model, _ = fit_steps(falling)
    assert all(coefficient > 0 for coefficient in model.coefficients_us.values())


def test_same_steps_same_file() -> None:
    measured = samples(400, noise=0.05)
    assert fit_steps(measured)[0].to_json() == fit_steps(measured)[0].to_json()


def test_domain_is_that_of_the_training_steps() -> None:
    model, _ = fit_steps([(decode(n % 50 + 1, 1000), 5_000_000 + n) for n in range(200)])
    assert decode(30, 1000) in model.domain
    assert decode(51, 1000) not in model.domain
    assert decode(30, 9000) not in model.domain
    assert prefill(10) not in model.domain
    assert add(decode(30, 1000), prefill(10)) not in model.domain


def test_too_few_steps() -> None:
    with pytest.raises(LatencyError, match=r"49 steps .* too few .* at least 50"):
        fit_steps(samples(49, noise=0.0))


def write_log(path: Path, count: int) -> None:
    log = StepLog(path)
    log.write(step_of())  # an empty step is no sample
    for index in range(count):
        requests = [
            ScheduledRequest(f"r{i}", 1, 100 + index, "decode") for i in range(index % 9 + 1)
        ]
        log.write(step_of(*requests, duration_ns=1_000_000 + 50_000 * len(requests)))
    log.close()


def with_stalls(every: int, times: int) -> list[Sample]:
    return [
        (batch, duration_ns * (times if at % every == 0 else 1))
        for at, (batch, duration_ns) in enumerate(samples(600, noise=0.02))
    ]


def test_stalls_that_take_much_of_the_time_are_warned_of() -> None:
    _, report = fit_steps(with_stalls(every=20, times=10))
    assert 0.05 < report.stalled_share < 0.8 and report.total_time_error < -0.1
    assert "warning" in report.text() and "warning" not in fit_steps(samples(600, 0.02))[1].text()


def test_stalls_that_take_most_of_the_time_are_refused() -> None:
    with pytest.raises(LatencyError, match=r"30 of 600 steps, \d\d % .*VLLM_CPU_OMP_THREADS_BIND"):
        fit_steps(with_stalls(every=20, times=100))


def test_calibrate_from_logs_and_folders(tmp_path: Path) -> None:
    write_log(tmp_path / "run" / "steps.jsonl", 100)
    write_log(tmp_path / "other.jsonl", 60)
    out = tmp_path / "fitted.json"
    report = calibrate([tmp_path / "run", tmp_path / "other.jsonl"], out)
    assert report.train.steps + report.held_out.steps == 160
    assert report.held_out_prefills is None  # only decodes
    assert "held out" in report.text() and "prefills" not in report.text()
    model = load_fitted(out)
    assert model.fitted_on["files"] == ["run/steps.jsonl", f"{tmp_path.name}/other.jsonl"]
    assert model.step_time_of(decode(4, 150)) == pytest.approx(1_200_000, rel=0.001)


def test_calibrate_from_nothing(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match=r"holds no steps\.jsonl"):
        calibrate([tmp_path], tmp_path / "out.json")
    with pytest.raises(RecordingError, match=r"absent\.jsonl"):
        calibrate([tmp_path / "absent.jsonl"], tmp_path / "out.json")


def test_measured_h100_steps_within_two_percent(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = data_folder("groundtruth/h100_steps")
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "bench")
    from h100_steps import read_samples

    for path in sorted(folder.glob("*.csv")):
        _, report = fit_steps(read_samples(path, single=False, decode_only=False))
        assert report.held_out.mean_abs_error < 0.02, path.name
        assert abs(report.held_out.total_time_error) < 0.01, path.name
