"""Words for prompts that the trace does not hold, the same in every process.

The text depends on the prompt's tokens and the seed alone.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from hashlib import blake2b

from .store import digest

_WORDS = (
    "time river stone light window paper garden letter morning winter bridge copper table "
    "quiet number silver answer voice market circle island motion engine harbor signal forest "
    "summer pocket ribbon corner mirror village thunder lantern meadow basket station candle "
    "the a this every some with under beyond near without and but or while because so then "
    "moves holds carries finds keeps opens follows turns leaves reaches makes sees waits grows"
).split()

_MIN_WORDS, _MAX_WORDS = 16, 160


def synthetic_text(prompt_ids: Sequence[int], seed: int, words: int | None = None) -> str:
    """A made-up answer.

    Args:
        prompt_ids: The prompt; equal prompts get equal answers.
        seed: The engine's ``--seed``.
        words: How many; None draws 16 to 160 from the same source.
    """
    key = blake2b(seed.to_bytes(8, "little", signed=True) + digest(prompt_ids), digest_size=16)
    source = random.Random(int.from_bytes(key.digest(), "little"))
    count = source.randint(_MIN_WORDS, _MAX_WORDS) if words is None else words
    return " ".join(source.choices(_WORDS, k=count)).capitalize() + "."
