"""Where rich's output goes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

_PLAIN_WIDTH = 110  # of output that goes to no terminal


def console() -> Console:
    """On stdout; as wide as the terminal, or as COLUMNS says."""
    from rich.console import Console

    found = Console(highlight=False)
    if not found.is_terminal and "COLUMNS" not in os.environ:
        found = Console(highlight=False, width=_PLAIN_WIDTH)
    return found
