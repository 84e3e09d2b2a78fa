"""The answers of a replay: each request is bound to its own row, nothing is matched.

How many tokens a request gets is the recorded number; ``docs/replay.md`` has the table.
The engine never sees that number: it knows the client's ``max_tokens``, or the model's
limit, and meets the end when it comes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from vllm.v1.core.sched.output import NewRequestData

from ..trace.cursor import Answer, ReplayCursor
from ..trace.schema import TraceRow
from .answers import BoundAnswer

EncodeText = Callable[[str], Sequence[int]]


class RowAnswers:
    """Tokens for rows.

    Args:
        encode: Answer text to token ids.
        plain_ids: Ids to fill answers with that were recorded as a length.
        end_id: The token that ends an answer, none of the plain ones. Where it stands inside a
            recorded answer it is replaced by a plain one, so that the answer goes on.
    """

    def __init__(self, encode: EncodeText, plain_ids: range, end_id: int) -> None:
        self._encode = encode
        self._plain_ids = plain_ids
        self.end_id = end_id

    def length(self, row: TraceRow) -> int:
        """How many tokens the row's client was given, the end token among them."""
        if row.output_length is not None:
            return max(row.output_length, 1)
        if row.response_token_ids is not None:
            return max(len(row.response_token_ids), 1)
        assert row.response is not None
        content = len(self._encode(row.response))
        # Text does not show the end token that a finished answer was counted with.
        return max(content, 1) if row.finish_reason == "length" else content + 1

    def max_tokens(self, row: TraceRow) -> int | None:
        """What the client asked for: as recorded, or shown by an answer that was cut off."""
        if row.max_tokens is not None:
            return max(row.max_tokens, 1)
        return self.length(row) if row.finish_reason == "length" else None

    def cursor(self, row: TraceRow, number: int) -> ReplayCursor:
        """The row's tokens; ``number`` chooses the filler."""
        length, limit = self.length(row), self.max_tokens(row)
        content = self._content(row, length, number)
        if limit is not None and limit <= length:
            return ReplayCursor(Answer(content, row.logprobs), None)
        return ReplayCursor(Answer(content[: length - 1], row.logprobs), self.end_id)

    def _content(self, row: TraceRow, length: int, number: int) -> Sequence[int]:
        """At least ``length`` tokens, none of which ends the answer."""
        ids: Sequence[int] = ()
        if row.response_token_ids is not None:
            ids = row.response_token_ids
        elif row.response is not None:
            ids = self._encode(row.response)
        if self.end_id in ids:
            ids = [self._plain_ids.start if token == self.end_id else token for token in ids]
        missing = length - len(ids)
        return ids if missing <= 0 else [*ids, *self._filler(missing, number)]

    def _filler(self, count: int, number: int) -> list[int]:
        low, span = self._plain_ids.start, len(self._plain_ids)
        return [low + (number + at) % span for at in range(count)]


class ReplayAnswers:
    """An executor's answers, by request id."""

    def __init__(self) -> None:
        self._expected: dict[str, tuple[RowAnswers, TraceRow, int]] = {}

    def expect(self, request_id: str, answers: RowAnswers, row: TraceRow, number: int) -> None:
        """A request is about to be added; its answer is made when it is first scheduled."""
        self._expected[request_id] = (answers, row, number)

    def drop(self, request_id: str) -> None:
        """The request was refused."""
        del self._expected[request_id]

    def bind(self, request: NewRequestData) -> BoundAnswer:
        answers, row, number = self._expected.pop(request.req_id)
        return BoundAnswer(answers.cursor(row, number), row)

    def close(self) -> None:
        pass
