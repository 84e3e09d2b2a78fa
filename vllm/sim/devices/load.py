"""Finding a device: by its name in the catalogue, or in a YAML file of the user's own."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any, get_args

import yaml

from ..errors import DeviceError
from .device import Device, Interconnect

CATALOG = Path(__file__).with_name("catalog.yaml")

_FACTS = frozenset(item.name for item in dataclasses.fields(Device)) - {"name", "sources"}
_REQUIRED = ("device_name", "memory_bytes", "memory_bandwidth", "bf16_flops")


def known_devices() -> tuple[str, ...]:
    """The names in the catalogue, in its order."""
    return tuple(_read(CATALOG))


def load_device(name_or_path: str | Path) -> Device:
    """The device of that name, or the one that a YAML file describes.

    A file holds one device: the fields of :class:`Device` as keys, each with a
    plain value or with ``{value: …, source: …}``. ``name`` defaults to the file's.

    Raises:
        DeviceError: No such device, or a key of the file is missing, unknown or wrong.
    """
    catalog = _read(CATALOG)
    text = str(name_or_path)
    if text in catalog:
        return _device(CATALOG, text, catalog[text])
    path = Path(name_or_path)
    if path.suffix not in (".yaml", ".yml"):
        raise DeviceError(
            f"unknown device {text!r}: give one of {', '.join(catalog)}, or a .yaml file"
        )
    if not path.is_file():
        raise DeviceError(f"no such device file: {path}")
    facts = _read(path)
    name = facts.pop("name", path.stem)
    if not isinstance(name, str):
        raise DeviceError(f"{path}: name must be text, is {name!r}")
    return _device(path, name, facts)


def _read(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise DeviceError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise DeviceError(f"{path}: must be a mapping of keys to values")
    return content


def _device(path: Path, name: str, facts: dict[str, Any]) -> Device:
    where = f"{path}, device {name}"
    for key in facts:
        if key not in _FACTS:
            raise DeviceError(
                f"{where}: unknown key {key!r}; known are {', '.join(sorted(_FACTS))}"
            )
    for key in _REQUIRED:
        if key not in facts:
            raise DeviceError(f"{where}: {key} is missing")
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for key, fact in facts.items():
        source = str(path)
        if isinstance(fact, dict):
            if set(fact) != {"value", "source"}:
                raise DeviceError(
                    f"{where}: {key} must have the keys value and source, and no others"
                )
            fact, source = fact["value"], fact["source"]
        values[key] = _check(where, key, fact)
        sources[key] = source
    if (values.get("interconnect") is None) != (values.get("interconnect_bandwidth") is None):
        raise DeviceError(f"{where}: interconnect and interconnect_bandwidth go together")
    return Device(name=name, sources=sources, **values)


def _check(where: str, key: str, value: Any) -> Any:
    if value is None and key not in _REQUIRED:
        return None
    if key == "device_name":
        if isinstance(value, str) and value:
            return value
        raise DeviceError(f"{where}: {key} must be text, is {value!r}")
    if key == "interconnect":
        if value in get_args(Interconnect):
            return value
        raise DeviceError(f"{where}: {key} must be nvlink or pcie, is {value!r}")
    if key == "compute_capability":
        if isinstance(value, list) and len(value) == 2 and all(type(part) is int for part in value):
            return tuple(value)
        raise DeviceError(f"{where}: {key} must be [major, minor], is {value!r}")
    if key in ("memory_bytes", "multiprocessors"):
        if type(value) is int and value > 0:
            return value
        raise DeviceError(f"{where}: {key} must be a whole number above 0, is {value!r}")
    number = _number(value)
    if number is None or not 0 < number < math.inf:
        raise DeviceError(f"{where}: {key} must be a number above 0, is {value!r}")
    return number


def _number(value: Any) -> float | None:
    # YAML 1.1 reads 3.35e12 as text: it wants 3.35e+12.
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        return float(value)
    except ValueError:
        return None
