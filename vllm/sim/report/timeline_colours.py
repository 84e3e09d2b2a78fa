"""One colour for each thing, in the terminal, in pictures and on pages."""

from __future__ import annotations

PREFILL = "#e69f00"
DECODE = "#2f7fc1"
WAITING = "#aab0bb"
PREEMPTED = "#c2387a"
STALLED = "#d9cf8f"
FREE = "#3a9a6b"

STATES = {
    "waiting": WAITING,
    "prefill": PREFILL,
    "decode": DECODE,
    "preempted": PREEMPTED,
    "stalled": STALLED,
}

# Where there is no colour, the sign alone has to tell.
SIGNS = {"waiting": "·", "prefill": "█", "decode": "░", "preempted": "x", "stalled": "-"}
