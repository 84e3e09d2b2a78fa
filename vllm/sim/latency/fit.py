"""Fitting step times: non-negative least squares on relative errors, outliers held down."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from scipy.optimize import nnls

from ..errors import LatencyError
from ..records import Composition, StepRecord
from .domain import Domain
from .fitted import FittedModel
from .terms import TERMS, term_values

Sample = tuple[Composition, int]  # a step's batch, and how long it took in ns

_FEWEST_STEPS = 50
_BLOCKS = 50  # of consecutive steps; every fifth is held out
_ROUNDS = 12
_HUBER = 1.5  # residuals beyond this many standard deviations count less and less
_STALL = 3.0  # a step that took this many times what the fit says is no sample of it
_STALLS_WORTH_SAYING, _MOST_STALLS = 0.05, 0.8  # of the measured time
_QUIET = (
    "record on a machine that does nothing else, a CPU engine with its threads bound to cores of "
    "its own (VLLM_CPU_OMP_THREADS_BIND)"
)
_MAD_TO_SIGMA = 1.4826  # of a normal distribution


@dataclass(frozen=True)
class Errors:
    """Relative errors of predictions, (predicted - measured) / measured, as parts of 1."""

    steps: int
    mean_abs_error: float
    median_abs_error: float
    p90_abs_error: float
    p99_abs_error: float
    mean_error: float  # signed
    total_time_error: float  # of the sum over all steps, signed: what throughput sees

    def line(self) -> str:
        parts = (
            f"mean {100 * self.mean_abs_error:.2f} %",
            f"median {100 * self.median_abs_error:.2f} %",
            f"p90 {100 * self.p90_abs_error:.2f} %",
            f"p99 {100 * self.p99_abs_error:.2f} %",
            f"signed mean {100 * self.mean_error:+.2f} %",
            f"total time {100 * self.total_time_error:+.2f} %",
        )
        return f"{', '.join(parts)} ({self.steps} steps)"


@dataclass(frozen=True)
class FitReport:
    """How well a fit does on what it was made of, and on what it has not seen."""

    train: Errors
    held_out: Errors
    held_out_prefills: Errors | None  # of these, steps with a prefill: TTFT
    stalls: int  # steps left out of both: over three times, or under a third of, the fit
    stalled_share: float  # of the measured time
    total_time_error: float  # of the sum over all steps, those left out too

    def text(self) -> str:
        lines = [f"fitted on  {self.train.line()}", f"held out   {self.held_out.line()}"]
        if self.held_out_prefills is not None:
            lines.append(f"  prefills {self.held_out_prefills.line()}")
        if self.stalls:
            lines.append(
                f"left out   {self.stalls} steps that took over {_STALL:g} times, or under a "
                f"third of, the fit: {100 * self.stalled_share:.2f} % of the measured time; "
                f"with them, total time {100 * self.total_time_error:+.2f} %"
            )
        if self.stalled_share > _STALLS_WORTH_SAYING:
            lines.append(f"warning: that is a lot: {_QUIET}")
        return "\n".join(lines)


def fit_steps(
    steps: Iterable[StepRecord | Sample], files: Sequence[str] = ()
) -> tuple[FittedModel, FitReport]:
    """Fit the terms to measured steps. The same steps in the same order give the same fit.

    Consecutive steps are alike, so a fifth of the run is held out in whole stretches.
    The model that is returned has not seen them.

    Args:
        steps: Measured steps, in the order in which they ran. Empty steps are skipped.
        files: Names for the reader of the file, where the steps came from.

    Raises:
        LatencyError: There are too few steps to fit and to test on, or what took most of the
            time follows no model of a step.
    """
    samples = [sample for sample in map(_sample, steps) if sample is not None]
    if len(samples) < _FEWEST_STEPS:
        raise LatencyError(
            f"{len(samples)} steps with requests and a duration are too few to fit a step time: "
            f"at least {_FEWEST_STEPS} are needed"
        )
    batches = [batch for batch, _ in samples]
    values = np.array([term_values(batch) for batch in batches], dtype=float)
    measured_ns = np.array([duration_ns for _, duration_ns in samples], dtype=float)
    held_out = np.arange(len(samples)) * _BLOCKS // len(samples) % 5 == 4

    coefficients = solve(values[~held_out], measured_ns[~held_out])
    ratio = measured_ns / (values @ coefficients)
    stalled = (ratio > _STALL) | (ratio < 1 / _STALL)
    train = ~held_out & ~stalled
    coefficients = solve(values[train], measured_ns[train])
    # The robust fit follows the typical step. The occasional slow one takes time too.
    coefficients *= measured_ns[train].sum() / (values[train] @ coefficients).sum()

    predicted_ns = values @ coefficients
    stalled_share = float(measured_ns[stalled].sum() / measured_ns.sum())
    if stalled_share > _MOST_STALLS:
        raise LatencyError(
            f"{int(stalled.sum())} of {len(samples)} steps, {100 * stalled_share:.0f} % of the "
            f"measured time, took over {_STALL:g} times, or under a third of, what a fit to "
            f"the others says: {_QUIET}"
        )
    tested = held_out & ~stalled
    prefills = tested & np.array([batch.prefills > 0 for batch in batches])
    report = FitReport(
        train=_errors(predicted_ns[train], measured_ns[train]),
        held_out=_errors(predicted_ns[tested], measured_ns[tested]),
        held_out_prefills=(
            _errors(predicted_ns[prefills], measured_ns[prefills]) if prefills.any() else None
        ),
        stalls=int(stalled.sum()),
        stalled_share=stalled_share,
        total_time_error=float(predicted_ns.sum() / measured_ns.sum() - 1),
    )
    model = FittedModel(
        coefficients_us={
            term: float(f"{coefficient / 1e3:.6g}")
            for term, coefficient in zip(TERMS, coefficients, strict=True)
            if coefficient > 0
        },
        domain=Domain.of(batch for batch, used in zip(batches, train, strict=True) if used),
        fitted_on={
            "files": list(files),
            "steps": report.train.steps,
            "stalls_left_out": report.stalls,
        },
        held_out=_rounded(report.held_out),
    )
    return model, report


def _sample(step: StepRecord | Sample) -> Sample | None:
    if isinstance(step, StepRecord):
        if not step.requests:
            return None
        step = (step.composition(), step.duration_ns)
    batch, duration_ns = step
    if duration_ns <= 0 or not batch.prefills + batch.decodes:
        return None
    return batch, duration_ns


def solve(values: np.ndarray, measured_ns: np.ndarray) -> np.ndarray:
    """Non-negative coefficients, in ns, for rows of term values.

    Iteratively reweighted, so that a tenth of slow steps does not bend the fit.
    """
    scale = np.maximum(values.max(axis=0), 1.0)
    relative = values / scale / measured_ns[:, None]
    weights = np.ones(len(measured_ns))
    solution = np.zeros(len(scale))
    for _ in range(_ROUNDS):
        # The triangle of a QR factorisation has the same solution in as many rows as terms.
        rows = np.column_stack((relative, np.ones(len(weights)))) * weights[:, None]
        triangle = np.asarray(np.linalg.qr(rows, mode="r"))
        solution, _ = nnls(triangle[:, :-1], triangle[:, -1])
        residuals = np.abs(relative @ solution - 1)
        limit = max(_HUBER * _MAD_TO_SIGMA * float(np.median(residuals)), 1e-9)
        weights = np.sqrt(np.minimum(1.0, limit / np.maximum(residuals, 1e-12)))
    return solution / scale


def _errors(predicted_ns: np.ndarray, measured_ns: np.ndarray) -> Errors:
    relative = predicted_ns / measured_ns - 1
    size = np.abs(relative)
    return Errors(
        steps=len(relative),
        mean_abs_error=float(size.mean()),
        median_abs_error=float(np.median(size)),
        p90_abs_error=float(np.quantile(size, 0.9)),
        p99_abs_error=float(np.quantile(size, 0.99)),
        mean_error=float(relative.mean()),
        total_time_error=float(predicted_ns.sum() / measured_ns.sum() - 1),
    )


def _rounded(errors: Errors) -> dict[str, float]:
    return {key: round(value, 6) for key, value in asdict(errors).items()}
