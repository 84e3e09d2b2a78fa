"""Which vLLM this package stands on. The one place that names it.

``docs/upgrading-vllm.md`` says how the pin is moved.
"""

from __future__ import annotations

PINNED = "0.32.0"
"""What requirements-cpu.txt installs, and what every test runs on."""

TESTED = ("0.32.0", "0.33.0")
"""What the simulator has been run on; see ``make test-upstream``."""


def release_of(version: str) -> str:
    """``0.32.0`` of ``0.32.0+cpu`` or ``0.32.0.dev3``."""
    parts = version.partition("+")[0].split(".")
    return ".".join(part for part in parts[:3] if part.isdigit())
