"""Benchmark clients as people run them: a command in a process of its own, and what it wrote."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from support.paths import DEMO_MODEL, DEMO_TRACE
from support.server import Server

LIMIT_S = 120


def recorded_rows(count: int) -> list[dict[str, Any]]:
    """Prompts of their own, each with another answer of the demo trace."""
    demo = [json.loads(line) for line in DEMO_TRACE.read_text("utf-8").splitlines()[1:]]
    answers = dict.fromkeys(row["response"] for row in demo if len(row["response"]) > 60)
    rows = [
        {"prompt": f"Question {number}: what do you see?", "response": answer}
        for number, answer in enumerate(answers)
    ][:count]
    assert len(rows) == count
    return rows


def run_client(folder: Path, *command: str | Path) -> None:
    """Run it to its end in ``folder``, offline."""
    done = subprocess.run(
        [str(part) for part in command], cwd=folder, env={**os.environ, "HF_HUB_OFFLINE": "1"},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=LIMIT_S,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:]


def bench_serve(server: Server, folder: Path, *options: str | Path) -> dict[str, Any]:
    """``vllm bench serve``; returns its detailed result."""
    run_client(
        folder, Path(sys.executable).with_name("vllm"), "bench", "serve",
        "--base-url", server.url, "--model", server.model, "--tokenizer", DEMO_MODEL,
        "--disable-tqdm", "--num-warmups", "1",
        "--save-result", "--save-detailed", "--result-filename", "result.json", *options,
    )  # fmt: skip
    return json.loads((folder / "result.json").read_text("utf-8"))
