"""Reading aiconfigurator-core's measured kernels into tables. Takes one to two seconds."""

from __future__ import annotations

import importlib
import json
import logging
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

from ..devices.device import Device
from ..errors import LatencyError
from .curve import Curve, Surface
from .kernel_tables import KernelTables
from .shape import ModelShape
from .unsplit_attention import KEY_WALK_US, MIXED_DECODE_FACTOR, is_unsplit

DEVICES = ("h100_sxm", "h200_sxm", "b200_sxm", "a100_sxm", "l40s", "rtx_pro_6000_server")
REQUIREMENT = "aiconfigurator-core==0.12.0"

_TOKENS = sorted({*range(1, 9), *(step << n for n in range(13) for step in (4, 5, 6, 7)), 32768})
_REQUESTS = [1, 2, 4, 8, 16, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024]
_KV_TOKENS = [1 << n for n in range(1, 18)]
_PROMPTS = sorted({16, *(step << n for n in range(3, 15) for step in (4, 5, 6, 7)), 131072})

# The parts of an operation's name that make it communication.
_COMMUNICATION = ("_ar", "allreduce", "dispatch", "p2p")


def read_kernel_tables(device: Device, shape: ModelShape) -> KernelTables:
    """Tabulate the kernels of this model on this device.

    Raises:
        LatencyError: The library is missing, or has no trustworthy tables for the two.
    """
    _refuse_what_is_wrong(device, shape)
    handle = _compile(device, shape)
    try:
        tables = _tabulate(handle)
    except RuntimeError as error:
        _refuse(device, shape, error)
    if not is_unsplit(device):
        return tables
    return replace(
        tables,
        mixed_decode_factor=MIXED_DECODE_FACTOR,
        key_walk_us=KEY_WALK_US * shape.layers,
    )


def _refuse_what_is_wrong(device: Device, shape: ModelShape) -> None:
    if device.name not in DEVICES:
        raise LatencyError(
            f"--sim-latency aiconfigurator has tables for {', '.join(DEVICES)}, "
            f"not for {device.name}: use roofline"
        )
    if shape.latent_attention is not None:
        raise LatencyError(
            "--sim-latency aiconfigurator: its tables join multi-head latent attention with the "
            "layers around it, so a step's depth cannot be told: use roofline"
        )
    quantization = shape.hf_config.get("quantization_config") or {}
    if quantization.get("weight_block_size") is not None:
        raise LatencyError(
            "--sim-latency aiconfigurator: its tables for block-scaled FP8 are wrong (decodes "
            "slower than in bf16): use roofline, or a checkpoint with one scale a tensor"
        )


def _library() -> Any:
    try:
        return importlib.import_module("aiconfigurator_core.sdk")
    except ModuleNotFoundError as error:
        raise LatencyError(
            f"--sim-latency aiconfigurator needs a package that is not installed ({error.name}): "
            f"pip install {REQUIREMENT}"
        ) from None


def _compile(device: Device, shape: ModelShape) -> Any:
    library = _library()
    # It warns about tables of other frameworks that it loads and we do not ask for.
    logging.getLogger("aiconfigurator_core").setLevel(logging.ERROR)
    # A fresh folder each time: the library remembers configs by path.
    with tempfile.TemporaryDirectory(prefix="vllm-sim-model-") as folder:
        config = json.dumps(dict(shape.hf_config), default=str)
        Path(folder, "config.json").write_text(config, encoding="utf-8")
        try:
            return library.EngineHandle.compile(
                folder,
                device.name,
                "vllm",
                backend_version="current",
                tp_size=shape.tp,
                moe_tp_size=shape.tp if shape.experts else None,
                kvcache_quant_mode="fp8" if shape.kv_bytes == 1 else None,
            )
        except (ValueError, RuntimeError, AssertionError, KeyError) as error:
            _refuse(device, shape, error)


def _refuse(device: Device, shape: ModelShape, error: Exception) -> NoReturn:
    names = ", ".join(shape.hf_config.get("architectures") or ["this model"])
    raise LatencyError(
        f"--sim-latency aiconfigurator cannot time {names} on {device.name} at tp {shape.tp}: "
        f"{' '.join(str(error).split())}; use roofline"
    ) from error


def _tabulate(handle: Any) -> KernelTables:
    linear, communication = [], []
    for tokens in _TOKENS:
        operations = _operations(
            handle.mixed_step_breakdown_per_op(ctx_tokens=tokens, gen_tokens=0, isl=tokens, osl=2)[
                0
            ]
        )
        between = {name for name in operations if any(part in name for part in _COMMUNICATION)}
        communication.append(_sum_us(operations, between))
        linear.append(_sum_us(operations, set(operations) - between - {"context_logits_gemm"}))
    lm_head, decode_attention = [], []
    for requests in _REQUESTS:
        row = []
        for kv_tokens in _KV_TOKENS:
            # The library counts the tokens before the step's own.
            operations = _operations(
                handle.decode_step_per_op(gen_tokens=requests, isl=kv_tokens - 1, osl=2)
            )
            row.append(_sum_us(operations, ["generation_attention"]))
        decode_attention.append(row)
        lm_head.append(_sum_us(operations, ["generation_logits_gemm"]))
    pairs, prefill_attention = [], []
    for tokens in _PROMPTS:
        context, _ = handle.run_static_per_op(batch_size=1, isl=tokens, osl=1, prefix=0)
        pairs.append(tokens * (tokens + 1) // 2)
        prefill_attention.append(_sum_us(_operations(context), ["context_attention"]))
    return KernelTables(
        linear=Curve(_TOKENS, linear),
        communication=Curve(_TOKENS, communication),
        lm_head=Curve(_REQUESTS, lm_head),
        prefill_attention=Curve(pairs, prefill_attention),
        decode_attention=Surface(_REQUESTS, _KV_TOKENS, decode_attention),
    )


def _operations(rows: Iterable[tuple[str, float, float, str]]) -> dict[str, float]:
    """Milliseconds by name."""
    return {name: milliseconds for name, milliseconds, _, _ in rows}


def _sum_us(operations: dict[str, float], names: Iterable[str]) -> float:
    return 1000 * sum(operations[name] for name in sorted(names))
