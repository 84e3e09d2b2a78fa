"""Count and produce the tokens of a row with a model's own tokenizer.

``tokenizers`` does it without torch. Only a chat template needs ``transformers``,
which imports torch and takes seconds: it is imported when the first ``messages``
row asks for it, and not before.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import SettingsError
from .schema import TraceRow

if TYPE_CHECKING:
    from tokenizers import Tokenizer


class RowTokenizer:
    """Token ids of prompts and answers.

    Args:
        folder: A model folder with ``tokenizer.json``, or that file.

    Raises:
        SettingsError: There is no usable tokenizer there.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._chat: Any = None
        file = self.folder if self.folder.is_file() else self.folder / "tokenizer.json"
        if not file.is_file():
            raise SettingsError(
                f"no tokenizer in {self.folder}: give a model folder that holds tokenizer.json"
            )
        from tokenizers import Tokenizer

        try:
            self._tokenizer: Tokenizer = Tokenizer.from_file(str(file))
        except Exception as error:  # tokenizers raises plain Exception for a bad file
            raise SettingsError(f"{file} is not a tokenizer file: {error}") from None
        # A file may ask for cut or padded output; a trace needs what was said.
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()

    def encode(self, text: str, special: bool = True) -> list[int]:
        """Ids of a text; ``special`` adds what the model puts around a prompt (BOS)."""
        return self._tokenizer.encode(text, add_special_tokens=special).ids

    def prompt_ids(self, row: TraceRow) -> Sequence[int] | None:
        """Ids of the prompt, or None where the row holds lengths only.

        Raises:
            SettingsError: The row holds messages and the model has no chat template.
        """
        if row.prompt_token_ids is not None:
            return row.prompt_token_ids
        if row.prompt is not None:
            return self.encode(row.prompt)
        if row.messages is not None:
            # The template writes the special tokens itself.
            return self.encode(self.render(row.messages, row.tools), special=False)
        return None

    def prompt_length(self, row: TraceRow) -> int | None:
        ids = self.prompt_ids(row)
        return row.input_length if ids is None else len(ids)

    def response_length(self, row: TraceRow) -> int | None:
        if row.response_token_ids is not None:
            return len(row.response_token_ids)
        if row.response is not None:
            return len(self.encode(row.response, special=False))
        return row.output_length

    def render(
        self, messages: list[dict[str, Any]], tools: list[dict[str, Any]] | None = None
    ) -> str:
        """Messages as the model's chat template writes them, ready for the answer.

        Raises:
            SettingsError: There is no chat template, or it refuses the messages.
        """
        if self._chat is None:
            from transformers import AutoTokenizer

            self._chat = AutoTokenizer.from_pretrained(
                str(self.folder if self.folder.is_dir() else self.folder.parent),
                local_files_only=True,
            )
            if not self._chat.chat_template:
                raise SettingsError(
                    f"the tokenizer in {self.folder} has no chat template, and the trace holds "
                    "messages: give a chat model's folder, or make the trace with --render plain"
                )
        from jinja2 import TemplateError

        try:
            text = self._chat.apply_chat_template(
                messages, tools=tools, tokenize=False, add_generation_prompt=True
            )
        except TemplateError as error:
            raise SettingsError(f"the chat template of {self.folder} fails: {error}") from None
        assert isinstance(text, str)
        return text


def stated_lengths(row: TraceRow) -> tuple[int | None, int | None]:
    """Input and output tokens as far as the row itself says, without a tokenizer."""
    prompt = row.input_length if row.prompt_token_ids is None else len(row.prompt_token_ids)
    answer = row.output_length if row.response_token_ids is None else len(row.response_token_ids)
    return prompt, answer
