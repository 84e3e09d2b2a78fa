"""The page."""

from pathlib import Path
from typing import Any


def write_report(out: Path, runs: list[dict[str, Any]]) -> None:
    pass
