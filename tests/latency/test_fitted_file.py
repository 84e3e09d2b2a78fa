"""The fitted file: read by people, and strictly by the loader."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from latency_batches import step_of

from vllm.sim.errors import LatencyError
from vllm.sim.latency.domain import FEATURES, Domain
from vllm.sim.latency.fitted import FittedModel, load_fitted
from vllm.sim.records import ScheduledRequest

MODEL = FittedModel(
    coefficients_us={"step": 1000.0, "decode_request": 10.0, "decode_kv_token": 0.5},
    domain=Domain({"decode": dict.fromkeys(FEATURES, (0, 1000))}),
    fitted_on={"files": ["run/steps.jsonl"], "steps": 123},
    held_out={"mean_abs_error": 0.0123},
)


@pytest.fixture
def content() -> dict[str, Any]:
    made: dict[str, Any] = json.loads(MODEL.to_json())
    return made


def test_round_trip(tmp_path: Path) -> None:
    MODEL.save(tmp_path / "fitted.json")
    loaded = load_fitted(tmp_path / "fitted.json")
    assert loaded.to_json() == MODEL.to_json()
    assert "123 steps" in loaded.describe()
    assert "1.2 % off" in loaded.describe()


def test_reads_like_a_table() -> None:
    lines = MODEL.to_json().splitlines()
    assert '    {"term": "step", "coefficient": 1000.0, "unit": "us per step"},' in lines
    assert '      "prefills": [0, 1000],' in lines


def test_a_step_is_the_sum_of_its_terms() -> None:
    step = step_of(*(ScheduledRequest(f"r{i}", 1, 99, "decode") for i in range(5)))
    assert MODEL.step_time(step) == (1_000_000 + 5 * 10_000 + 5 * 100 * 500, True)


def test_out_of_domain() -> None:
    far = step_of(ScheduledRequest("r", 1, 5000, "decode"))
    other_kind = step_of(ScheduledRequest("r", 10, 0, "prefill"))
    assert not MODEL.step_time(far).in_domain
    assert not MODEL.step_time(other_kind).in_domain


CASES: list[tuple[list[Any], Any, str]] = [
    (["vllm_sim_latency"], 2, "vllm_sim_latency is 2, this version reads 1: calibrate again"),
    (["vllm_sim_latency"], None, "no key vllm_sim_latency"),
    (["terms"], None, "terms is missing"),
    (["terms"], [], "terms is empty"),
    (["terms"], 3, "terms must be a list of objects"),
    (["extra"], 3, "unknown key 'extra'; known are vllm_sim_latency, terms"),
    (["terms", 0, "coefficient"], -1, "terms[0]: coefficient of step must be a number, 0 or above"),
    (["terms", 0, "coefficient"], "3", "terms[0]: coefficient of step must be a number"),
    (["terms", 0, "coefficient"], True, "terms[0]: coefficient of step must be a number"),
    (["terms", 0, "coefficient"], float("nan"), "terms[0]: coefficient of step must be a number"),
    (["terms", 0, "unit"], "ms", "terms[0]: unit of step must be 'us per step'"),
    (["terms", 0, "unit"], None, "terms[0]: unit is missing"),
    (["terms", 1, "term"], "step", "terms[1]: term step is there twice"),
    (["terms", 1, "term"], "magic", "terms[1]: unknown term 'magic'; known are step"),
    (["domain"], 3, "domain must be an object"),
    (["domain", "idle"], {}, "domain: unknown kind 'idle'; known are prefill, decode, mixed"),
    (["domain", "decode", "decodes"], None, "domain.decode: decodes is missing"),
    (["domain", "decode", "decodes"], [1], "domain.decode.decodes must be [lowest, highest]"),
    (["domain", "decode", "decodes"], [1, 2.5], "domain.decode.decodes must be"),
    (["domain", "decode", "decodes"], [16, 1], "domain.decode.decodes must be [lowest, highest]"),
    (["fitted_on"], None, "fitted_on is missing"),
    (["held_out"], "none", "held_out must be an object"),
]


@pytest.mark.parametrize(("path", "value", "message"), CASES, ids=[case[2] for case in CASES])
def test_a_wrong_file_names_itself_and_the_key(
    tmp_path: Path, content: dict[str, Any], path: list[Any], value: Any, message: str
) -> None:
    place: Any = content
    for key in path[:-1]:
        place = place[key]
    if value is None:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    file = tmp_path / "fitted.json"
    file.write_text(json.dumps(content))
    with pytest.raises(LatencyError) as caught:
        load_fitted(file)
    assert str(caught.value).startswith(f"{file}: ")
    assert message in str(caught.value)


def test_not_json(tmp_path: Path) -> None:
    file = tmp_path / "fitted.json"
    file.write_text("terms: 3")
    with pytest.raises(LatencyError, match=r"fitted\.json: not JSON"):
        load_fitted(file)
    with pytest.raises(LatencyError, match=r"absent\.json: cannot be read"):
        load_fitted(tmp_path / "absent.json")
    with pytest.raises(LatencyError, match="cannot be written"):
        MODEL.save(tmp_path / "no" / "such" / "folder.json")
