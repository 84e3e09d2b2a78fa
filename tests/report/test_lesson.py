"""The lesson and its sister pages: every command runs and prints what the page shows."""

from __future__ import annotations

import ast
import re
from importlib.util import find_spec
from pathlib import Path

import pytest
from support.paths import REPOSITORY

from .lesson import lesson_folder, page_as_printed

DOCS = REPOSITORY / "docs"


@pytest.mark.slow
@pytest.mark.engine
@pytest.mark.parametrize("name", ["continuous-batching", "policies", "timeline"])
def test_commands_print_what_the_page_shows(name: str, tmp_path: Path) -> None:
    page = (DOCS / f"{name}.md").read_text("utf-8")
    with lesson_folder(tmp_path):
        assert page_as_printed(page) == page, (
            f"in tests/: python -m report.lesson ../docs/{name}.md"
        )


def test_every_decision_is_where_the_lesson_says() -> None:
    page = (DOCS / "continuous-batching.md").read_text("utf-8")
    spec = find_spec("vllm.v1.core")
    assert spec is not None and spec.origin is not None
    core = Path(spec.origin).parent
    rows = re.findall(r"^\|.*\| `(\S+\.py)` \| `(\w+)` \|$", page, re.MULTILINE)
    assert len(rows) > 10
    for file, function in rows:
        tree = ast.parse((core / file).read_text("utf-8"))
        defined = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        assert function in defined, f"{file} has no {function}"


def test_the_class_on_the_page_is_the_class_in_the_file() -> None:
    shown = re.search(r"```python\n(.*?)```", (DOCS / "policies.md").read_text("utf-8"), re.DOTALL)
    assert shown
    body = shown[1].partition("\n\n\n")[2].strip()
    assert body in (REPOSITORY / "traces" / "lesson" / "policies.py").read_text("utf-8")
