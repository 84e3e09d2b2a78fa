"""The catalogue is sane, and a wrong device says what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from vllm.sim.devices.load import known_devices, load_device
from vllm.sim.errors import DeviceError, SimError

NAMES = (
    "h100_sxm", "h200_sxm", "b200_sxm", "a100_sxm", "l40s",
    "rtx_pro_6000_server", "rtx_4090", "cpu",
)  # fmt: skip


def test_catalogue_holds_the_documented_devices() -> None:
    assert known_devices() == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_number_of_the_catalogue_has_a_source(name: str) -> None:
    device = load_device(name)
    facts = {key: value for key, value in vars(device).items() if key not in ("name", "sources")}
    for key, value in facts.items():
        if value is not None:
            assert len(device.sources[key]) > 5, key


@pytest.mark.parametrize("name", [name for name in NAMES if name != "cpu"])
def test_gpus_are_plausible(name: str) -> None:
    device = load_device(name)
    assert 20 * 2**30 < device.memory_bytes < 200 * 2**30
    assert 0.5e12 < device.memory_bandwidth < 10e12
    # A bf16 roofline's knee lies at some hundred FLOP a byte on all of these.
    assert 100 < device.bf16_flops / device.memory_bandwidth < 500
    assert device.fp8_flops is None or 1.9 < device.fp8_flops / device.bf16_flops < 2.1
    assert device.compute_capability is not None and device.compute_capability >= (8, 0)
    assert device.multiprocessors is not None and device.multiprocessors > 100
    assert device.interconnect_bandwidth is not None


def test_driver_reports_less_than_the_box_says() -> None:
    assert load_device("h100_sxm").memory_bytes < 80 * 2**30
    assert load_device("h100_sxm").device_name == "NVIDIA H100 80GB HBM3"


def test_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(DeviceError, match=r"unknown device 'h1000'.*h100_sxm.*cpu.*\.yaml"):
        load_device("h1000")
    assert issubclass(DeviceError, SimError)


MINIMAL = """\
device_name: My GPU
memory_bytes: 1000
memory_bandwidth: 1e12
bf16_flops: {value: 100.0e+12, source: measured}
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "mine.yaml"
    path.write_text(text)
    return path


def test_own_file(tmp_path: Path) -> None:
    path = write(tmp_path, MINIMAL)
    device = load_device(path)
    assert (device.name, device.memory_bandwidth, device.fp8_flops) == ("mine", 1e12, None)
    assert device.sources["bf16_flops"] == "measured"
    assert device.sources["memory_bytes"] == str(path)
    assert load_device(str(path)) == device


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("memory_bytes: 1000\n", ""), "memory_bytes is missing"),
        (("memory_bytes: 1000", "memory_bytes: 1.5"), "memory_bytes must be a whole number"),
        (("memory_bytes: 1000", "memory_bytes: -5"), "memory_bytes must be a whole number above 0"),
        (("memory_bandwidth: 1e12", "memory_bandwidth: fast"), "memory_bandwidth must be a number"),
        (("memory_bandwidth: 1e12", "memory_bandwidth: true"), "memory_bandwidth must be a number"),
        (("memory_bandwidth: 1e12", "memory_bandwidth: .inf"), "memory_bandwidth must be a number"),
        (("device_name: My GPU", "device_name: 7"), "device_name must be text"),
        (("device_name", "device_nam"), "unknown key 'device_nam'; known are bf16_flops"),
        (("source: measured", "sauce: measured"), "bf16_flops must have the keys value and source"),
        (("device_name", "interconnect: nvlink\ndevice_name"), "go together"),
        (("device_name", "interconnect: rope\ndevice_name"), "nvlink or pcie"),
        (("device_name", "compute_capability: 9\ndevice_name"), r"\[major, minor\]"),
        (("device_name: My GPU", "- a\n- b"), "not YAML"),
    ],
)
def test_wrong_file_names_itself_and_the_key(
    tmp_path: Path, change: tuple[str, str], message: str
) -> None:
    path = write(tmp_path, MINIMAL.replace(*change))
    with pytest.raises(DeviceError, match=message) as caught:
        load_device(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="no such device file"):
        load_device(tmp_path / "absent.yaml")
