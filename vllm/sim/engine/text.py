"""Text to tokens such that the text comes back to the byte."""

from __future__ import annotations

import logging

from vllm.tokenizers import TokenizerLike

from ..errors import SettingsError

logger = logging.getLogger("vllm.sim.text")

# Something that an answer may follow. Tokenizers with a prefix space (SentencePiece)
# add one at the start of a text only, so an answer is looked at in mid-text.
_ANCHOR = "a"


def encode_answer(tokenizer: TokenizerLike | None, text: str) -> list[int]:
    """Tokens that, decoded after other text, give ``text`` exactly.

    Raises:
        SettingsError: There is no tokenizer to encode with.
    """
    if tokenizer is None:
        raise SettingsError(
            "the trace answers with text and --skip-tokenizer-init leaves no tokenizer: "
            "record response_token_ids instead"
        )
    if not text:
        return []
    anchor = tokenizer.encode(_ANCHOR, add_special_tokens=False)
    plain = tokenizer.encode(text, add_special_tokens=False)
    if _decode(tokenizer, anchor + plain) == _ANCHOR + text:
        return plain
    joined = tokenizer.encode(_ANCHOR + text, add_special_tokens=False)
    if joined[: len(anchor)] == anchor and _decode(tokenizer, joined) == _ANCHOR + text:
        return joined[len(anchor) :]
    logger.warning(
        "an answer does not come back to the byte from this tokenizer: %r… becomes %r…",
        text[:40], _decode(tokenizer, plain)[:40],
    )  # fmt: skip
    return plain


def _decode(tokenizer: TokenizerLike, ids: list[int]) -> str:
    return tokenizer.decode(ids, skip_special_tokens=False)
