"""Where things are."""

from __future__ import annotations

from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
DEMO_MODEL = REPOSITORY / "traces" / "demo-model"
DEMO_TRACE = REPOSITORY / "traces" / "demo.jsonl"
SHARED_DATA = REPOSITORY.parent / "shared" / "data"


def shared_data(*parts: str) -> Path:
    """A file of the third-party data, which never enters the repository; skips without it."""
    path = SHARED_DATA.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"needs {'/'.join(parts)} of the shared data, which is not on this machine")
    return path
