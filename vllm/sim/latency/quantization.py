"""How many bytes a weight takes, and in what it is multiplied."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ..errors import LatencyError
from .shape import Compute

_DTYPE_BYTES = {"float32": 4, "float": 4, "bfloat16": 2, "float16": 2, "half": 2}
_MXFP4_BYTES = (4 + 8 / 32) / 8  # an 8-bit scale for 32 values
_NVFP4_BYTES = (4 + 8 / 16) / 8  # an 8-bit scale for 16 values


class Quantization(NamedTuple):
    weight_bytes: float  # a parameter of the linear layers
    expert_bytes: float  # a parameter of the experts
    compute: Compute


def dtype_bytes(dtype: object) -> int:
    """Bytes of an activation; None counts as bfloat16.

    Raises:
        LatencyError: No such dtype.
    """
    name = "bfloat16" if dtype is None else str(dtype).removeprefix("torch.")
    if name not in _DTYPE_BYTES:
        raise LatencyError(f"unknown dtype {name!r}; known are {', '.join(_DTYPE_BYTES)}")
    return _DTYPE_BYTES[name]


def read_quantization(config: Mapping[str, Any], activation_bytes: int) -> Quantization:
    """Read ``quantization_config``.

    Raises:
        LatencyError: The method is not one whose weight size is known.
    """
    plain: Compute = "fp32" if activation_bytes == 4 else "bf16"
    spec = config.get("quantization_config")
    if spec is None:
        return Quantization(activation_bytes, activation_bytes, plain)
    method = str(spec.get("quant_method") or spec.get("quant_algo")).lower()
    algorithm = str(spec.get("quant_algo")).upper()
    if method in ("fp8", "fbgemm_fp8") or (method == "modelopt" and algorithm == "FP8"):
        return Quantization(1, 1, "fp8")
    if method == "mxfp4":
        return Quantization(activation_bytes, _MXFP4_BYTES, plain)
    if method in ("modelopt", "modelopt_fp4", "nvfp4") and algorithm in ("NVFP4", "NONE"):
        return Quantization(_NVFP4_BYTES, _NVFP4_BYTES, "fp4")
    if method in ("awq", "gptq") and spec.get("bits"):
        size = _grouped_bytes(spec["bits"], spec.get("group_size"))
        return Quantization(size, size, plain)
    if method == "compressed-tensors" and spec.get("config_groups"):
        return _compressed_tensors(spec["config_groups"], plain)
    raise LatencyError(
        f"quantization {method!r} is not known to the step-time models: fit a file on a measured "
        "run (vllm sim calibrate), or use constant:…"
    )


def _compressed_tensors(groups: Mapping[str, Any], plain: Compute) -> Quantization:
    group = next(iter(groups.values()))
    weights, inputs = group["weights"], group.get("input_activations")
    size = _grouped_bytes(weights["num_bits"], weights.get("group_size"))
    if inputs is None:
        return Quantization(size, size, plain)
    return Quantization(size, size, "fp4" if inputs["num_bits"] == 4 else "fp8")


def _grouped_bytes(bits: int, group_size: int | None) -> float:
    """Bytes a weight, with a 16-bit scale for each group of them."""
    scale_bits = 16 / group_size if group_size and group_size > 0 else 0
    return (bits + scale_bits) / 8
