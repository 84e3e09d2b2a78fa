"""Which conversations are used, and how much of each."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from ..trace.schema import TraceRow
from ..trace.tokens import RowTokenizer


@dataclass(frozen=True)
class Limits:
    """Bounds on turns and, with a tokenizer, on tokens. All inclusive."""

    min_turns: int = 1
    max_turns: int | None = None
    min_input_tokens: int = 1
    max_input_tokens: int | None = None
    min_output_tokens: int = 0
    max_output_tokens: int | None = None

    @property
    def need_tokenizer(self) -> bool:
        given = (self.max_input_tokens, self.max_output_tokens)
        return any(given) or self.min_input_tokens > 1 or self.min_output_tokens > 0

    def apply(
        self, rows: list[TraceRow], tokenizer: RowTokenizer | None, dropped: Counter[str]
    ) -> list[TraceRow]:
        """The turns to keep: a conversation ends before the first turn that breaks a limit.

        Args:
            rows: The turns of one conversation, in order; get their lengths filled in.
            dropped: What was not kept is counted here, by why.
        """
        kept: list[TraceRow] = []
        for row in rows:
            if self.max_turns is not None and len(kept) >= self.max_turns:
                dropped["turns after --max-turns"] += len(rows) - len(kept)
                break
            if tokenizer is not None:
                row.input_length = tokenizer.prompt_length(row)
                row.output_length = tokenizer.response_length(row)
                if not self._fits(row.input_length or 0, row.output_length or 0):
                    dropped["turns from the first that breaks a token limit"] += len(rows) - len(
                        kept
                    )
                    break
            kept.append(row)
        if len(kept) < self.min_turns:
            dropped["conversations with too few turns left"] += 1
            return []
        return kept

    def _fits(self, given: int, answered: int) -> bool:
        return self.min_input_tokens <= given <= (
            self.max_input_tokens or given
        ) and self.min_output_tokens <= answered <= (self.max_output_tokens or answered)
