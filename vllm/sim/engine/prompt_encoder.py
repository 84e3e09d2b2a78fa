"""Trace rows to prompt token ids, as vLLM's own front end would make them of a request."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionToolsParam
from vllm.renderers import BaseRenderer, ChatParams

from ..trace.schema import TraceRow


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
