"""``devices``: what ``--sim-device`` knows."""

from __future__ import annotations

import argparse
from typing import Any


def add_parser(verbs: Any) -> None:
    parser = verbs.add_parser("devices", help="list the devices that --sim-device knows")
    parser.set_defaults(func=_run)


def _run(_: argparse.Namespace) -> int:
    from ..devices.load import known_devices, load_device

    print(f"{'name':<22}{'memory GiB':>11}{'bandwidth TB/s':>16}{'bf16 TFLOP/s':>14}  reported as")
    for name in known_devices():
        device = load_device(name)
        print(
            f"{name:<22}{device.memory_bytes / 2**30:>11.1f}"
            f"{device.memory_bandwidth / 1e12:>16.2f}{device.bf16_flops / 1e12:>14.0f}"
            f"  {device.device_name}"
        )
    return 0
