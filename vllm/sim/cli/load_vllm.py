"""The real vLLM, for the verbs that run an engine."""

from __future__ import annotations

import importlib
import sys


def load_vllm() -> None:
    """Undo the shortcut of the script ``vllm-sim``: let ``vllm.env_override`` do its work."""
    module = sys.modules.get("vllm.env_override")
    if module is not None and module.__spec__ is None:
        del sys.modules["vllm.env_override"]
        importlib.import_module("vllm.env_override")
