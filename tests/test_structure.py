"""The shape of the package: what may import what, and what is generated."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from support.paths import REPOSITORY

SIM = REPOSITORY / "vllm" / "sim"
MODULES = sorted(path for path in SIM.rglob("*.py"))

# From the ground up: a room may import the rooms before it, never one behind it.
ORDER = [
    "errors", "clock", "records", "config", "step_log", "upstream", "devices", "trace", "workload",
    "latency", "metrics", "report", "hooks", "engine", "cli", "plugin", "__main__",
]  # fmt: skip
KNOWS_VLLM = {"hooks", "engine", "cli", "plugin"}


def room_of(path: Path) -> str:
    first = path.relative_to(SIM).parts[0]
    return first.removesuffix(".py")


def imports(path: Path):
    """``(module, line)`` of each import, ours as ``sim.room…``."""
    package = ("sim", *path.relative_to(SIM).parent.parts)
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module, node.lineno
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1]
            if node.module:
                yield ".".join((*base, node.module)), node.lineno
            else:
                yield from ((".".join((*base, alias.name)), node.lineno) for alias in node.names)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SIM)))
def test_imports_point_downward(path):
    room = room_of(path)
    if room == "__init__":
        return
    assert room in ORDER, f"{room} has no place in ORDER"
    for module, line in imports(path):
        head, _, rest = module.partition(".")
        if head == "sim":
            target = rest.partition(".")[0]
            assert ORDER.index(target) <= ORDER.index(room), f"line {line}: {room} imports {target}"
        elif head in {"vllm", "torch"}:
            assert room in KNOWS_VLLM, f"line {line}: {room} imports {module}"


def test_vllm_itself_stays_upstreams():
    assert not (REPOSITORY / "vllm" / "__init__.py").exists()
    assert [path.name for path in (REPOSITORY / "vllm").iterdir()] == ["sim"]


def test_the_parser_is_built_without_vllm_and_torch():
    code = (
        "import sys, types\n"
        "sys.modules['vllm.env_override'] = types.ModuleType('vllm.env_override')\n"
        "from vllm.sim.cli.main import fill_parser\n"
        "import argparse; fill_parser(argparse.ArgumentParser())\n"
        "heavy = {'torch', 'vllm.config', 'transformers', 'scipy', 'matplotlib', 'pandas'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_the_page_about_hooks_is_current():
    from vllm.sim.hooks.register import register_page

    page = (REPOSITORY / "docs" / "hooks.md").read_text()
    assert page == register_page(), "run: .venv/bin/vllm-sim hooks > docs/hooks.md"


def test_scheduler_and_block_manager_are_never_patched():
    from vllm.sim.hooks.register import HOOKS

    for hook in HOOKS:
        assert not {"Scheduler", "KVCacheManager", "BlockPool"} & set(
            hook.target.replace(":", ".").replace(",", ".").split(".")
        ), hook.target
    for path in MODULES:
        text = path.read_text()
        for name in ("Scheduler.", "KVCacheManager.", "BlockPool."):
            assert f"setattr({name[:-1]}" not in text, path


def test_nothing_is_read_of_vllm_with_a_default():
    """A rename upstream must fail, not read as a default."""
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id == "getattr"
            ):
                assert len(node.args) == 2, f"{path}:{node.lineno}: getattr with a default"
            if isinstance(node, ast.ExceptHandler):
                assert node.type is not None, f"{path}:{node.lineno}: bare except"
