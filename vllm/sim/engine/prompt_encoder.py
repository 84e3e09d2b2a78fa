"""Trace rows to prompt token ids, the same wherever they are needed.

Rows with content are rendered and tokenized as vLLM's own front end would do with the
request. Rows of lengths and hash ids are built (see ``trace.prompts``).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionToolsParam
from vllm.renderers import BaseRenderer, ChatParams

from ..errors import TraceError
from ..trace.prompts import PromptBuilder, plain_token_ids
from ..trace.read import PlacedRow
from ..trace.schema import TraceHeader, TraceRow


class LengthPrompts:
    """Builds the prompts of rows of lengths, out of ids that mean nothing special.

    Args:
        renderer: Its model's vocabulary and special tokens count.
        path: The trace, for errors.
    """

    def __init__(self, renderer: BaseRenderer, path: Path) -> None:
        self._path = path
        tokenizer = renderer.tokenizer
        vocabulary = renderer.model_config.get_vocab_size()
        special = set() if tokenizer is None else set(tokenizer.all_special_ids)
        end_id = renderer.get_eos_token_id()
        self.end_id = vocabulary - 1 if end_id is None else end_id
        self.plain_ids = plain_token_ids(vocabulary, {*special, self.end_id})
        self._builder: PromptBuilder | None = None  # small vocabularies have none

    def ids(self, placed: PlacedRow, header: TraceHeader | None) -> list[int]:
        """The prompt of one row.

        Raises:
            TraceError: The row says too little, or the vocabulary is too small.
        """
        block_size = None if header is None else header.block_size
        try:
            if self._builder is None:
                self._builder = PromptBuilder(self.plain_ids)
            return self._builder.prompt(placed.row, placed.line, block_size).tolist()
        except ValueError as error:
            raise TraceError(self._path, str(error), placed.line) from None


class PromptEncoder:
    """Renders and tokenizes rows that have content.

    Args:
        renderer: vLLM's renderer: chat template and tokenizer of an engine.
        chat: How its server or ``LLM`` renders chats.
    """

    def __init__(self, renderer: BaseRenderer, chat: ChatParams) -> None:
        self._renderer = renderer
        self._chat = chat.with_defaults(
            {"add_generation_prompt": True, "continue_final_message": False}
        )

    def encode_prompts(self, rows: Sequence[TraceRow]) -> list[Sequence[int]]:
        """Token ids of each row; texts are tokenized together."""
        encoded: list[Sequence[int]] = [() for _ in rows]
        texts: dict[bool, list[tuple[int, str]]] = {True: [], False: []}
        for at, row in enumerate(rows):
            if row.prompt_token_ids is not None:
                encoded[at] = row.prompt_token_ids
            elif row.prompt is not None:
                special = self._renderer.default_cmpl_tok_params.add_special_tokens
                texts[special].append((at, row.prompt))
            elif "prompt_token_ids" in (prompt := self._render(row)):
                encoded[at] = list(prompt["prompt_token_ids"])
            else:
                special = self._renderer.default_chat_tok_params.add_special_tokens
                texts[special].append((at, prompt["prompt"]))
        for add_special_tokens, batch in texts.items():
            if batch:
                ids = self._renderer.get_tokenizer()(
                    [text for _, text in batch], add_special_tokens=add_special_tokens
                )["input_ids"]
                for (at, _), row_ids in zip(batch, ids, strict=True):
                    encoded[at] = row_ids
        return [self.with_one_bos(ids) for ids in encoded]

    def with_one_bos(self, prompt_ids: Sequence[int]) -> Sequence[int]:
        """vLLM's Responses API puts a second BOS before a chat template that has one."""
        tokenizer = self._renderer.tokenizer
        if tokenizer is None or len(prompt_ids) < 2:
            return prompt_ids
        doubled = prompt_ids[0] == prompt_ids[1] == tokenizer.bos_token_id
        return prompt_ids[1:] if doubled else prompt_ids

    def _render(self, row: TraceRow) -> Any:
        assert row.messages is not None, "a row of lengths has no content to render"
        chat = self._chat
        if row.tools is not None:
            # With the fields that the server fills in.
            tools = [ChatCompletionToolsParam(**tool).model_dump() for tool in row.tools]
            chat = chat.with_defaults({"tools": tools})
        _, prompt = self._renderer.render_messages(row.messages, chat)
        return prompt
