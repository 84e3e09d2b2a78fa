"""Runs the commands of a page, and holds what they print against what the page shows.

    python -m report.lesson docs/continuous-batching.md     (in tests/)

writes what they print now into the page.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from support.paths import REPOSITORY

_BLOCK = re.compile(r"```console\n(.*?)```", re.DOTALL)
LESSON = REPOSITORY / "traces" / "lesson"


def commands_of(block: str) -> Iterator[tuple[str, str]]:
    """Each command of a block as it is written, line breaks and all, and what is shown below it."""
    for each in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        found = re.match(r"((?:.*\\\n)*.*)\n", each)
        assert found, each
        yield found[1], each[found.end() :]


def printed_by(command: str) -> str:
    """What a command prints, trailing blanks aside. It runs in this process."""
    from vllm.sim.cli.main import main

    words = [word for word in shlex.split(command) if not word.startswith("PYTHONPATH=")]
    assert words.pop(0) == "vllm-sim", command
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        code = main(words)
    assert code == 0, f"{command}: exit code {code}"
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def page_as_printed(page: str) -> str:
    """The page with what its commands print now. Replays, whose summary is long, stay silent."""

    def block(found: re.Match[str]) -> str:
        lines = []
        for written, shown in commands_of(found[1]):
            printed = printed_by(written.replace("\\\n", ""))
            lines.append(f"$ {written}")
            if " replay " not in written or shown.strip():
                lines.append(printed)
        return "```console\n" + "".join(f"{line}\n" for line in lines if line) + "```"

    return _BLOCK.sub(block, page)


@contextlib.contextmanager
def lesson_folder(folder: Path) -> Iterator[None]:
    """A clean clone, as far as the lesson needs one."""
    before = Path.cwd()
    (folder / "traces").symlink_to(REPOSITORY / "traces")
    os.chdir(folder)
    sys.path.insert(0, str(LESSON))
    os.environ.pop("COLUMNS", None)
    try:
        yield
    finally:
        os.chdir(before)
        sys.path.remove(str(LESSON))


def _rewrite(page: Path) -> None:
    with tempfile.TemporaryDirectory() as folder, lesson_folder(Path(folder)):
        text = page_as_printed(page.read_text("utf-8"))
    page.write_text(text, "utf-8")


if __name__ == "__main__":
    os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
    for name in sys.argv[1:]:
        _rewrite(Path(name).resolve())
