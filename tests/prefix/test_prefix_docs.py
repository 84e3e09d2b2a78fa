"""The example of docs/prefix.md, run as it stands there."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from support.paths import REPOSITORY

from vllm.sim.cli.main import main

pytestmark = pytest.mark.engine


def test_the_example_prints_what_the_page_shows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (REPOSITORY / "docs" / "prefix.md").read_text()
    block = page.partition("```console\n$ vllm sim ")[2].partition("```")[0]
    command, _, shown = block.replace("\\\n", "").partition("\n")
    monkeypatch.chdir(REPOSITORY)
    words = shlex.split(command)
    words[words.index("--out") + 1] = str(tmp_path)
    assert main(words) == 0
    printed = capsys.readouterr().out.splitlines()
    for line in shown.splitlines():
        assert line == "…" or line in printed, line


def test_every_key_is_explained(tmp_path: Path) -> None:
    from vllm.sim.metrics.prefix import prefix_facts
    from vllm.sim.metrics.prefix_blocks import blocks_of
    from vllm.sim.metrics.prefix_log import PrefixLog

    log = PrefixLog(16)
    columns = log.columns()
    facts = prefix_facts(log, columns, blocks_of(columns))
    section = (REPOSITORY / "docs" / "metrics.md").read_text().partition("## Prefix sharing")[2]
    for key in json.loads(json.dumps(facts)):
        assert f"`{key}`" in section, key
