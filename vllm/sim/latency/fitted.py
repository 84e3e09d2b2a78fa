"""Step times from a file that ``vllm sim calibrate`` made: a sum of non-negative terms."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import LatencyError
from ..records import Composition, StepRecord
from .domain import FEATURES, KINDS, Domain, Kind, Range
from .model import StatelessModel, StepTime
from .terms import TERM_UNITS, TERMS, term_values

FORMAT_KEY = "vllm_sim_latency"
FORMAT_VERSION = 1
_WIDTH = 110
_KEYS = (FORMAT_KEY, "terms", "domain", "fitted_on", "held_out")


@dataclass(frozen=True)
class FittedModel(StatelessModel):
    """Microseconds per term; a step's time is the sum of what it has of each.

    Attributes:
        coefficients_us: Per term of ``TERMS``, >= 0; a term that is not there counts nothing.
        domain: The steps that it was fitted on.
        fitted_on: Files and counts, for the reader of the file.
        held_out: Errors on steps that the fit has not seen, as parts of 1.
    """

    coefficients_us: Mapping[str, float]
    domain: Domain
    fitted_on: Mapping[str, Any] = field(default_factory=dict)
    held_out: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        in_order_ns = tuple(self.coefficients_us.get(term, 0.0) * 1e3 for term in TERMS)
        object.__setattr__(self, "_coefficients_ns", in_order_ns)

    _coefficients_ns: tuple[float, ...] = field(init=False, repr=False, compare=False)

    def step_time(self, step: StepRecord) -> StepTime:
        batch = step.composition()
        return StepTime(self.step_time_of(batch), batch in self.domain)

    def step_time_of(self, batch: Composition) -> int:
        """Nanoseconds for a batch, in domain or not."""
        duration_ns = 0.0
        for coefficient, value in zip(self._coefficients_ns, term_values(batch), strict=True):
            duration_ns += coefficient * value
        return round(duration_ns)

    def describe(self) -> str:
        steps, error = self.fitted_on.get("steps"), self.held_out.get("mean_abs_error")
        line = f"fitted: {len(self.coefficients_us)} terms"
        if steps is not None:
            line += f" on {steps} steps"
        if error is not None:
            line += f", {100 * error:.1f} % off on steps held out"
        return f"{line}; knows {', '.join(self.domain.ranges)} steps"

    def to_json(self) -> str:
        """The file's content: small enough to read."""
        content = {
            FORMAT_KEY: FORMAT_VERSION,
            "terms": [
                {"term": term, "coefficient": self.coefficients_us[term], "unit": TERM_UNITS[term]}
                for term in TERMS
                if term in self.coefficients_us
            ],
            "domain": self.domain.ranges,
            "fitted_on": self.fitted_on,
            "held_out": self.held_out,
        }
        return _json_lines(content) + "\n"

    def save(self, path: str | Path) -> None:
        """Write the file.

        Raises:
            LatencyError: It cannot be written.
        """
        try:
            Path(path).write_text(self.to_json(), encoding="utf-8")
        except OSError as error:
            raise LatencyError(f"{path}: cannot be written: {error.strerror}") from None


def _json_lines(value: Any, indent: str = "") -> str:
    """JSON with whatever fits on a line on one line."""
    line = json.dumps(value)
    if len(indent) + len(line) <= _WIDTH or not isinstance(value, (dict, list)):
        return line
    deeper = indent + "  "
    if isinstance(value, list):
        parts = [_json_lines(item, deeper) for item in value]
    else:
        parts = [f"{json.dumps(key)}: {_json_lines(item, deeper)}" for key, item in value.items()]
    start, end = "[]" if isinstance(value, list) else "{}"
    return f"{start}\n{deeper}" + f",\n{deeper}".join(parts) + f"\n{indent}{end}"


def load_fitted(path: str | Path) -> FittedModel:
    """Read a file that :meth:`FittedModel.save` wrote, or that someone edited.

    Raises:
        LatencyError: It cannot be read, or a key is missing, unknown or wrong; names both.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise LatencyError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise LatencyError(f"{path}: not JSON: {error}") from None
    if not isinstance(content, dict) or FORMAT_KEY not in content:
        raise LatencyError(
            f"{path}: no key {FORMAT_KEY}: not a file that vllm sim calibrate has made"
        )
    if content[FORMAT_KEY] != FORMAT_VERSION:
        raise LatencyError(
            f"{path}: {FORMAT_KEY} is {content[FORMAT_KEY]!r}, "
            f"this version reads {FORMAT_VERSION}: calibrate again"
        )
    _check_keys(f"{path}", content, _KEYS)
    for key in ("fitted_on", "held_out"):
        if not isinstance(content[key], dict):
            raise LatencyError(f"{path}: {key} must be an object")
    return FittedModel(
        _read_terms(path, content["terms"]),
        _read_domain(path, content["domain"]),
        content["fitted_on"],
        content["held_out"],
    )


def _check_keys(where: str, given: Mapping[str, Any], wanted: tuple[str, ...]) -> None:
    for key in given:  # a misspelt one first: it tells more than what is missing for it
        if key not in wanted:
            raise LatencyError(f"{where}: unknown key {key!r}; known are {', '.join(wanted)}")
    for key in wanted:
        if key not in given:
            raise LatencyError(f"{where}: {key} is missing")


def _read_terms(path: str | Path, terms: Any) -> dict[str, float]:
    if not isinstance(terms, list) or not all(isinstance(item, dict) for item in terms):
        raise LatencyError(f"{path}: terms must be a list of objects")
    coefficients: dict[str, float] = {}
    for index, item in enumerate(terms):
        where = f"{path}: terms[{index}]"
        _check_keys(where, item, ("term", "coefficient", "unit"))
        term, coefficient = item["term"], item["coefficient"]
        if term not in TERM_UNITS:
            raise LatencyError(f"{where}: unknown term {term!r}; known are {', '.join(TERMS)}")
        if term in coefficients:
            raise LatencyError(f"{where}: term {term} is there twice")
        if item["unit"] != TERM_UNITS[term]:
            raise LatencyError(f"{where}: unit of {term} must be {TERM_UNITS[term]!r}")
        is_number = isinstance(coefficient, (int, float)) and not isinstance(coefficient, bool)
        if not is_number or not 0 <= coefficient < math.inf:
            raise LatencyError(
                f"{where}: coefficient of {term} must be a number, 0 or above, is {coefficient!r}"
            )
        coefficients[term] = float(coefficient)
    if not coefficients:
        raise LatencyError(f"{path}: terms is empty")
    return coefficients


def _read_domain(path: str | Path, domain: Any) -> Domain:
    if not isinstance(domain, dict):
        raise LatencyError(f"{path}: domain must be an object")
    ranges: dict[Kind, dict[str, Range]] = {}
    for kind in domain:
        if kind not in KINDS:
            raise LatencyError(
                f"{path}: domain: unknown kind {kind!r}; known are {', '.join(KINDS)}"
            )
        where = f"{path}: domain.{kind}"
        if not isinstance(domain[kind], dict):
            raise LatencyError(f"{where} must be an object")
        _check_keys(where, domain[kind], FEATURES)
        ranges[kind] = {}
        for feature, bounds in domain[kind].items():
            valid = isinstance(bounds, list) and [type(bound) for bound in bounds] == [int, int]
            if not valid or bounds[0] > bounds[1]:
                raise LatencyError(f"{where}.{feature} must be [lowest, highest], is {bounds!r}")
            ranges[kind][feature] = (bounds[0], bounds[1])
    return Domain(ranges)
