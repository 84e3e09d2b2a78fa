"""The traces that docs/clients.md makes are made as it says."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from support.paths import REPOSITORY, shared_data

from vllm.sim.cli.main import main

PAGE = (REPOSITORY / "docs" / "clients.md").read_text("utf-8")


def trace_commands() -> list[tuple[str, str]]:
    """``vllm sim`` commands and their output, in the order of the page."""
    blocks = re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)
    shown = [each.partition("\n") for block in blocks for each in block.split("$ ") if each]
    prefix = "vllm sim "
    return [
        (command.removeprefix(prefix), output)
        for command, _, output in shown
        if command.startswith(prefix)
    ]


def test_traces_are_made_as_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "conversations").symlink_to(shared_data("traces", "conversations"))
    (tmp_path / "traces").symlink_to(REPOSITORY / "traces")
    assert len(trace_commands()) == 6
    for command, output in trace_commands():
        assert main(shlex.split(command)) == 0, command
        assert capsys.readouterr().out.strip() == output.strip(), command
