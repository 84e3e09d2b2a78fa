"""How near roofline, and aiconfigurator where it is installed, come to what was measured.

    python tests/bench/step_models.py [DATA]

DATA (default: ../shared/data beside the repository) holds `model_configs` and `groundtruth`.
Four tables, signed errors: H100 kernels against aiconfigurator-core's tables; RTX PRO 6000
kernels of Llama-3.1-8B under vLLM 0.19; what the terms of a fitted file bring on those; whole
steps of two models on H100 under vLLM 0.15.1.
"""

from __future__ import annotations

import csv
import json
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from h100_steps import read_samples

from vllm.sim.devices.load import load_device
from vllm.sim.errors import LatencyError
from vllm.sim.latency.aiconfigurator import build_aiconfigurator
from vllm.sim.latency.curve import Curve
from vllm.sim.latency.fit import solve
from vllm.sim.latency.hf_config import shape_from_hf_config
from vllm.sim.latency.roofline import build_roofline
from vllm.sim.latency.shape import ModelShape
from vllm.sim.latency.terms import TERMS, term_values
from vllm.sim.records import Composition

DEFAULT_DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
LLAMA = "meta-llama--Meta-Llama-3.1-8B"
Model = Callable[[Composition], float]  # microseconds of a batch

# Llama 2 70B and Code Llama 34B, as their configs have them.
LLAMA_2_70B = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 8192,
    "num_hidden_layers": 80, "num_attention_heads": 64, "num_key_value_heads": 8,
    "intermediate_size": 28672, "vocab_size": 32000, "max_position_embeddings": 4096,
    "rms_norm_eps": 1e-5, "hidden_act": "silu", "tie_word_embeddings": False,
    "torch_dtype": "float16",
}  # fmt: skip
CODE_LLAMA_34B = {**LLAMA_2_70B, "num_hidden_layers": 48, "intermediate_size": 22016}


def prefill(tokens: int, cached: int = 0) -> Composition:
    return Composition(1, tokens, cached, tokens * cached + tokens * (tokens + 1) // 2, 0, 0)


def decode(requests: int, kv_tokens: int) -> Composition:
    return Composition(0, 0, 0, 0, requests, requests * kv_tokens)


def read_shape(data: Path, name: str, tp: int) -> ModelShape:
    path = data / "model_configs" / f"{name}_config.json"
    if not path.is_file():
        sys.exit(f"{path} is missing; give the folder that holds model_configs and groundtruth")
    return shape_from_hf_config(json.loads(path.read_text()), tp=tp)


def models(device_name: str, shape: ModelShape, host: str) -> dict[str, Model]:
    device = load_device(device_name)
    found: dict[str, Model] = {"roofline": build_roofline(host, device, shape).step_us}
    try:
        found["aiconfigurator"] = build_aiconfigurator(host, device, shape).step_us
    except LatencyError as error:
        print(f"aiconfigurator left out: {error}", file=sys.stderr)
    return found


def h100_kernels(data: Path) -> None:
    batches = {
        "prefill 512": prefill(512), "prefill 2k": prefill(2048), "prefill 8k": prefill(8192),
        "decode 1@1k": decode(1, 1024), "64@1k": decode(64, 1024), "256@4k": decode(256, 4096),
    }  # fmt: skip
    print("H100 kernels: ms by the tables, and what roofline is off by")
    print(f"{'model':24s} tp " + " ".join(f"{name:>15s}" for name in batches))
    for name, tp in (
        (LLAMA, 1), ("Qwen--Qwen3-0.6B", 1), ("Qwen--Qwen3-32B", 2), ("Qwen--Qwen3-30B-A3B", 1),
        ("Qwen--Qwen3-30B-A3B", 2), ("openai--gpt-oss-20b", 1), ("google--gemma-4-26B-A4B", 1),
    ):  # fmt: skip
        found = models("h100_sxm", read_shape(data, name, tp), "host_us=0")
        if "aiconfigurator" not in found:
            return
        cells = []
        for batch in batches.values():
            table_us, roofline_us = found["aiconfigurator"](batch), found["roofline"](batch)
            cells.append(f"{table_us / 1000:8.2f} {100 * (roofline_us / table_us - 1):+5.0f}%")
        print(f"{name.split('--')[1]:24s} {tp:2d} " + " ".join(cells))


def rtx_batches(folder: Path) -> Iterator[tuple[str, Composition, float]]:
    """Each measured attention kernel, with the rest of the step that it would stand in."""
    layers = 32
    per_token: dict[int, dict[str, float]] = defaultdict(dict)
    for row in read_rows(folder / "dense.csv"):
        per_token[int(row["tokens"])][row["layer"]] = float(row["time_us"])
    per_request: dict[int, float] = defaultdict(float)
    for row in read_rows(folder / "per_sequence.csv"):
        per_request[int(row["sequences"])] += float(row["time_us"])  # lm_head and sampler
    tokens = sorted(per_token)
    once = ("embedding", "final_layernorm")
    # A layer has two norms, before attention and before the feed-forward.
    of_layers = Curve(
        tokens,
        [
            sum(us for name, us in per_token[n].items() if name not in once)
            + per_token[n]["layernorm"]
            for n in tokens
        ],
    )
    of_ends = Curve(tokens, [sum(per_token[n][name] for name in once) for n in tokens])
    of_requests = Curve(sorted(per_request), [per_request[n] for n in sorted(per_request)])
    for row in read_rows(folder / "attention.csv"):
        chunk, cached = int(row["prefill_chunk"]), int(row["kv_prefill"])
        decodes, kv_tokens = int(row["n_decode"]), int(row["kv_decode"])
        batch = decode(decodes, kv_tokens)
        kind = "decode"
        if chunk:
            alone = prefill(chunk, cached)
            batch = Composition(
                1, chunk, cached, alone.prefill_pairs, decodes, batch.decode_kv_tokens
            )
            kind = "mixed" if decodes else "prefill, cached prefix" if cached else "prefill, fresh"
        count = chunk + decodes
        if count > tokens[-1]:
            continue
        step_us = layers * (of_layers(count) + float(row["time_us"])) + of_ends(count)
        yield kind, batch, step_us + of_requests(bool(chunk) + decodes)


def read_rows(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        sys.exit(f"{path} is missing; give the folder that holds model_configs and groundtruth")
    with path.open(newline="") as file:
        return [row for row in csv.DictReader(file) if row.get("layer") != "layer"]


def rtx_kernels(data: Path) -> None:
    rows = list(rtx_batches(data / "groundtruth" / "rtxpro6000_llama31_8b" / "kernels"))
    found = models("rtx_pro_6000_server", read_shape(data, LLAMA, 1), "host_us=0")
    print("\nRTX PRO 6000 kernels, Llama-3.1-8B, summed to steps: errors in %")
    print(f"{'model':16s} {'steps of':26s} {'steps':>6s} {'mean':>7s} {'|mean|':>7s} {'|p90|':>7s}")
    for name, model in found.items():
        errors: dict[str, list[float]] = defaultdict(list)
        for kind, batch, measured_us in rows:
            error = model(batch) / measured_us - 1
            errors[kind].append(error)
            if is_common(batch):
                errors["all, <= 128 at <= 4k"].append(error)
            errors["all"].append(error)
        for kind in sorted(errors):
            print_errors(f"{name:16s} {kind:26s}", np.array(errors[kind]))


def fitted_terms(data: Path) -> None:
    """What each group of terms of a fitted file brings, on steps that are all different."""
    folder = data / "groundtruth" / "rtxpro6000_llama31_8b" / "kernels"
    rows = [(batch, us) for _, batch, us in rtx_batches(folder) if is_common(batch)]
    values = np.array([term_values(batch) for batch, _ in rows], dtype=float)
    measured_ns = np.array([us * 1000 for _, us in rows])
    columns = {term: values[:, index] for index, term in enumerate(TERMS)}
    ranges = [term for term in TERMS if term.startswith("token_")]
    columns["all tokens"] = sum(columns[term] for term in ranges)
    plain = ["step", "prefill_pair", "decode_request", "decode_kv_token"]
    cached = [*plain, "prefill_request", "prefill_cached_token"]
    held_out = np.arange(len(rows)) % 3 == 2
    print("\nFitting the RTX PRO 6000 steps of up to 128 decodes and 4k: errors held out, in %")
    for label, terms in (
        ("one slope a token", [*plain, "all tokens"]),
        ("and prefills, cached tokens", [*cached, "all tokens"]),
        ("ranges of tokens", [*cached, *ranges]),
        ("and mixed KV: all terms", list(TERMS)),
    ):
        chosen = np.stack([columns[term] for term in terms], axis=1)
        coefficients = solve(chosen[~held_out], measured_ns[~held_out])
        predicted_ns = chosen[held_out] @ coefficients
        print_errors(f"{label:43s}", predicted_ns / measured_ns[held_out] - 1)


def is_common(batch: Composition) -> bool:
    depth = max(batch.decode_kv_tokens / max(batch.decodes, 1), batch.prefill_cached_tokens)
    return batch.decodes <= 128 and depth <= 4096


def h100_whole_steps(data: Path) -> None:
    print("\nH100 whole steps, default host time, steps of up to five: errors in %")
    print(f"{'model':16s} {'file':26s} {'steps':>6s} {'mean':>7s} {'|mean|':>7s} {'|p90|':>7s}")
    for path in sorted((data / "groundtruth" / "h100_steps").glob("*.csv")):
        large = "70b" in path.name
        config: dict[str, Any] = LLAMA_2_70B if large else CODE_LLAMA_34B
        shape = shape_from_hf_config(config, tp=4 if large else 2)
        samples = list(read_samples(path, single=False, decode_only=False))
        for name, model in models("h100_sxm", shape, "").items():
            errors = [model(batch) * 1000 / measured_ns - 1 for batch, measured_ns in samples]
            print_errors(f"{name:16s} {path.stem[16:42]:26s}", np.array(errors))


def print_errors(label: str, errors: np.ndarray) -> None:
    size = np.abs(errors)
    cells = " ".join(
        f"{100 * number:7.1f}" for number in (errors.mean(), size.mean(), np.quantile(size, 0.9))
    )
    print(f"{label} {len(errors):6d} {cells}")


def main(data: Path) -> None:
    h100_kernels(data)
    rtx_kernels(data)
    fitted_terms(data)
    h100_whole_steps(data)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_DATA)
