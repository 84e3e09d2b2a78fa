"""Make demo.jsonl, sessions.jsonl and demo-model/ from the words in demo_text.py.

usage: make_demo.py [FOLDER]        (default: this folder)

The files are in the repository, so nobody has to run this; run it after changing the words. The
same words give the same bytes, which a test checks.
"""

import json
import random
import sys
from pathlib import Path
from typing import Any

import demo_text as text
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, processors
from tokenizers.trainers import BpeTrainer

Row = dict[str, Any]

BOS, TURN_START, TURN_END = "<|bos|>", "<|im_start|>", "<|im_end|>"
VOCABULARY = 3072  # at most: a pair that occurs once is not merged, so rare signs stay bytes

# Splits text before merging: words with the blank before them, single digits, runs of Chinese,
# signs, line ends. Every character falls into some piece, so text comes back to the byte.
PIECES = (
    r"'(?:s|t|re|ve|m|ll|d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|"
    r"\s*[\r\n]+|\s+(?!\S)|\s+"
)

CHAT_TEMPLATE = """\
{{- bos_token }}
{%- if tools %}
{{- '<|im_start|>system\\nYou may call these functions:\\n' }}
{%- for tool in tools %}
{{- tool | tojson }}{{ '\\n' }}
{%- endfor %}
{{- 'To call one, answer <tool_call>{"name": NAME, "arguments": ARGUMENTS}</tool_call>.' }}
{{- '<|im_end|>\\n' }}
{%- endif %}
{%- for message in messages %}
{{- '<|im_start|>' + message['role'] + '\\n' }}
{%- if message['content'] %}
{{- message['content'] }}
{%- endif %}
{%- for call in message['tool_calls'] or [] %}
{{- '<tool_call>\\n' }}{{ call['function'] | tojson }}{{ '\\n</tool_call>' }}
{%- endfor %}
{{- '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
{{- '<|im_start|>assistant\\n' }}
{%- endif %}
"""

# The shape of an 8-billion-parameter Llama 3.1, so that block counts and step times are those of a
# model that people run. The context is cut from 131,072 tokens to 16,384, so that a KV cache of
# 2 GiB is enough to start. No weights exist; the tokenizer uses the first ids of the vocabulary.
CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "vocab_size": 128256,
    "max_position_embeddings": 16384,
    "rope_theta": 500000.0,
    "rope_scaling": {
        "rope_type": "llama3",
        "factor": 2.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    },
    "hidden_act": "silu",
    "rms_norm_eps": 1e-05,
    "attention_bias": False,
    "mlp_bias": False,
    "tie_word_embeddings": False,
    "dtype": "bfloat16",
}


def message(role: str, content: str) -> Row:
    return {"role": role, "content": content}


def chat_rows(history: list[Row], dialogue: list[str]) -> list[Row]:
    """One row for each answer of a dialogue; each holds all that was said before."""
    rows = []
    for question, answer in zip(dialogue[::2], dialogue[1::2], strict=True):
        history = [*history, message("user", question)]
        rows.append({"messages": history, "response": answer})
        history = [*history, message("assistant", answer)]
    return rows


def tool_rows(steps: list[Row | str]) -> list[Row]:
    """Like `chat_rows`, for a conversation whose answers are the bare strings among `steps`."""
    rows: list[Row] = []
    history: list[Row] = []
    for step in steps:
        if isinstance(step, str):
            rows.append({"messages": history, "response": step})
            step = message("assistant", step)
        history = [*history, step]
    return rows


def count_tokens(tokenizer: Tokenizer, answer: str) -> int:
    return len(tokenizer.encode(answer, add_special_tokens=False).ids)


def demo_rows(tokenizer: Tokenizer) -> list[Row]:
    """The rows of demo.jsonl."""
    rows = [{"prompt": prompt, "response": answer} for prompt, answer in text.COMPLETIONS]
    rows += [
        {"prompt": text.REPEATED_PROMPT, "response": answer} for answer in text.REPEATED_ANSWERS
    ]
    rows.append(
        {
            "prompt": text.CUT_PROMPT,
            "response": text.CUT_ANSWER,
            "max_tokens": count_tokens(tokenizer, text.CUT_ANSWER),
            "finish_reason": "length",
        }
    )
    for question, answer in text.LIBRARY_QUESTIONS:
        rows += chat_rows([message("system", text.LIBRARY)], [question, answer])
    for dialogue in text.CHATS:
        rows += chat_rows([], dialogue)
    return rows + tool_rows(text.TOOL_CHAT)


def session_rows(tokenizer: Tokenizer) -> list[Row]:
    """The rows of sessions.jsonl, by arrival.

    Sessions begin at random, eight seconds apart on average. A turn arrives `think_time` after the
    answer before it ended, taking that answer at 0.2 s and 25 ms a token.
    """
    chance = random.Random(2026)
    rows = []
    begin = 0.0
    for number, dialogue in enumerate(text.LIBRARY_SESSIONS, start=1):
        arrival = begin
        for turn, row in enumerate(chat_rows([message("system", text.LIBRARY)], dialogue), start=1):
            row |= {"session_id": f"visitor-{number:02d}", "turn": turn}
            if turn > 1:
                row["think_time"] = round(2 + chance.expovariate(1 / 4), 2)
                arrival += row["think_time"]
            row["timestamp"] = round(arrival, 2)
            rows.append(row)
            arrival += 0.2 + 0.025 * count_tokens(tokenizer, row["response"])
        begin += chance.expovariate(1 / 8)
    return sorted(rows, key=lambda row: row["timestamp"])


def all_text() -> list[str]:
    """Every string in demo_text.py, for the tokenizer to learn from."""

    def strings(value: Any) -> list[str]:
        if isinstance(value, str):
            return [value]
        parts = value.values() if isinstance(value, dict) else value
        return [string for part in parts for string in strings(part)]

    return strings([value for name, value in vars(text).items() if name.isupper()])


def train_tokenizer() -> Tokenizer:
    """Byte-level BPE: any text at all can be written with it, and read back unchanged."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PIECES), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    specials = [AddedToken(name, special=True) for name in (BOS, TURN_START, TURN_END)]
    trainer = BpeTrainer(
        vocab_size=VOCABULARY,
        min_frequency=2,
        special_tokens=specials,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(all_text(), trainer)
    bos_id = tokenizer.token_to_id(BOS)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A", special_tokens=[(BOS, bos_id)]
    )
    return tokenizer


def write_model(folder: Path, tokenizer: Tokenizer) -> None:
    """The folder that `vllm serve` takes as MODEL."""
    folder.mkdir(parents=True, exist_ok=True)
    ids = {
        "bos_token_id": tokenizer.token_to_id(BOS),
        "eos_token_id": tokenizer.token_to_id(TURN_END),
    }
    (folder / "tokenizer.json").write_text(tokenizer.to_str() + "\n", encoding="utf-8")
    write_json(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": BOS,
            "eos_token": TURN_END,
            "pad_token": TURN_END,
            "model_max_length": CONFIG["max_position_embeddings"],
            "clean_up_tokenization_spaces": False,
            "chat_template": CHAT_TEMPLATE,
        },
    )
    write_json(folder / "config.json", CONFIG | ids)
    write_json(folder / "generation_config.json", ids)


def write_json(path: Path, value: Row) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def write_trace(path: Path, about: str, rows: list[Row]) -> None:
    header = {
        "vllm_sim_trace": 1,
        "model": "demo-model",
        "provenance": about,
        "license": "Apache-2.0",
    }
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in [header, *rows]]
    path.write_text("".join(lines), encoding="utf-8")


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    tokenizer = train_tokenizer()
    write_model(folder / "demo-model", tokenizer)
    by_hand = "written by hand for this repository (traces/demo_text.py)"
    write_trace(folder / "demo.jsonl", by_hand, demo_rows(tokenizer))
    write_trace(folder / "sessions.jsonl", f"{by_hand}; drawn arrivals", session_rows(tokenizer))


if __name__ == "__main__":
    main()
