"""The examples of docs/traces.md say what the commands say."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from support.paths import REPOSITORY, shared_data

from vllm.sim.cli.main import main

PAGE = (REPOSITORY / "docs" / "traces.md").read_text("utf-8")


def examples() -> list[tuple[str, str]]:
    """Commands and their output, in the order of the page: later ones use earlier files."""
    blocks = re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)
    shown = [each for block in blocks for each in block.split("$ vllm sim ") if each]
    return [(command, output) for command, _, output in (each.partition("\n") for each in shown)]


@pytest.mark.slow
def test_examples(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in shared_data("traces").iterdir():
        (tmp_path / folder.name).symlink_to(folder)
    for name, text in re.findall(r"```jsonl (\S+)\n(.*?)```", PAGE, re.DOTALL):
        (tmp_path / name).write_text(text, "utf-8")
    assert len(examples()) > 15
    for command, output in examples():
        code = main(shlex.split(command))
        said = capsys.readouterr()
        assert (said.err if code else said.out).strip() == output.strip(), command


def test_every_format_and_field_is_explained() -> None:
    from vllm.sim.trace.formats import FORMATS
    from vllm.sim.trace.schema import HEADER_FIELDS, KNOWN_FIELDS

    for name in (*FORMATS, *KNOWN_FIELDS, *(HEADER_FIELDS - {"vllm_sim_trace"})):
        assert f"`{name}`" in PAGE, name
