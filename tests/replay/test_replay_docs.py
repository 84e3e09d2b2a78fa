"""The loop of record, calibrate and validate in docs/replay.md works as it stands there."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.paths import REPOSITORY

PAGE = REPOSITORY / "docs" / "replay.md"


@pytest.mark.slow
@pytest.mark.engine
@pytest.mark.real_model
def test_the_whole_loop(tmp_path: Path) -> None:
    (script,) = re.findall(r"```bash\n(.*?)```", PAGE.read_text(), re.DOTALL)
    script = script.replace("/tmp/", f"{tmp_path}/")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], cwd=REPOSITORY, timeout=400,
        env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert "held out" in done.stdout and "TTFT p99 (ms)" in done.stdout
    figures = json.loads((tmp_path / "recorded-2" / "validation" / "validation.json").read_text())
    assert figures
    summary = json.loads((tmp_path / "recorded-2" / "summary.json").read_text())
    assert summary["completed"] == 60 and summary["latency"] == "measured"
