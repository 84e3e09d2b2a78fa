"""One small model for all laws, and the laws' trace."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.models import save_tiny_llama
from support.traces import write_trace

from .traffic import trace_rows


@pytest.fixture(scope="package")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_llama(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="package")
def traffic_trace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_trace(tmp_path_factory.mktemp("trace") / "traffic.jsonl", trace_rows())
