"""A small file of each format, in text of our own, and ways to break it."""

from __future__ import annotations

import json
from typing import NamedTuple


def lines(*rows: dict) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


VLLM_SIM = lines(
    {"vllm_sim_trace": 1, "license": "CC0-1.0"},
    {"prompt": "Which way?", "response": "Left.", "timestamp": 0.0, "session_id": "a", "turn": 1},
    {"prompt": "And then?", "response": "Right.", "timestamp": 1.5, "session_id": "a", "turn": 2},
)

MOONCAKE = lines(
    {"timestamp": 0, "input_length": 600, "output_length": 5, "hash_ids": [0, 1]},
    {"timestamp": 0, "input_length": 1024, "output_length": 0, "hash_ids": [0, 2]},
    {"timestamp": 3000, "input_length": 1030, "output_length": 7, "hash_ids": [0, 2, 3]},
)

TIMED_TRACE = lines(
    {"timestamp": 0.25, "input_length": 40, "output_length": 5, "hash_ids": [7, 8, 9]},
    {"timestamp": 1.5, "input_length": 32, "output_length": 6, "hash_ids": [7, 10]},
)

BAILIAN = lines(
    {"chat_id": 5, "parent_chat_id": -1, "timestamp": 0.5, "input_length": 40, "output_length": 9,
     "type": "text", "turn": 1, "hash_ids": [1, 2, 3]},
    {"chat_id": 6, "parent_chat_id": -1, "timestamp": 0.75, "input_length": 16, "output_length": 2,
     "type": "search", "turn": 1, "hash_ids": [4]},
    {"chat_id": 9, "parent_chat_id": 5, "timestamp": 8.0, "input_length": 60, "output_length": 3,
     "type": "text", "turn": 2, "hash_ids": [1, 2, 5, 6]},
)  # fmt: skip

AZURE_2023 = """\
TIMESTAMP,ContextTokens,GeneratedTokens
2023-11-16 18:15:46.6805901,374,44
2023-11-16 18:15:50.9951690,396,109
"""

AZURE_2024 = """\
TIMESTAMP,ContextTokens,GeneratedTokens
2024-05-10 00:00:00.009930+00:00,2162,5
2024-05-10 00:00:01+00:00,2399,6
"""

BURSTGPT_1 = """\
Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type
5,ChatGPT,472,18,490,Conversation log
45.5,GPT-4,200,0,200,API log
"""

BURSTGPT_3 = """\
Timestamp,Session ID,Elapsed time,Model,Request tokens,Response tokens,Total tokens,Log Type
5.0,s1,2.5,ChatGPT,472,18,490,Conversation log
9.0,,0.5,GPT-4,20,3,23,API log
45.0,s1,1.0,ChatGPT,600,20,620,Conversation log
"""

KV_CACHE_TESTER = json.dumps(
    {
        "id": "walk",
        "models": ["m"],
        "block_size": 64,
        "hash_id_scope": "local",
        "requests": [
            {"t": 0.0, "type": "n", "model": "m", "in": 130, "out": 7, "hash_ids": [1, 2],
             "stop": "tool_use", "api_time": 2.5, "think_time": 0.0},
            {"t": 9.0, "type": "s", "model": "m", "in": 200, "out": 9, "hash_ids": [1, 2, 3],
             "stop": "end_turn", "ttft": 0.5, "api_time": 1.5, "think_time": 6.5},
        ],
    }
)  # fmt: skip

SHAREGPT = json.dumps(
    [
        {"id": "x1", "conversations": [
            {"from": "human", "value": "Where is the sea?"},
            {"from": "gpt", "value": "Behind the dunes."},
            {"from": "human", "value": "How far?"},
            {"from": "gpt", "value": "A mile — or two."}]},
        {"id": "x2", "system": "Be brief.", "licence": "CC0", "conversations": [
            {"from": "human", "value": "Is it cold?"},
            {"from": "gpt", "value": "Yes."}]},
    ],
    indent=1,
)  # fmt: skip

OPENAI = lines(
    {"id": "c1", "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Is it cold?"},
        {"role": "assistant", "content": "Yes."},
        {"role": "user", "content": [{"type": "text", "text": "Still?"}]},
        {"role": "assistant", "content": "Still."}]},
    {"id": "c2", "tools": [{"type": "function", "function": {"name": "look"}}], "messages": [
        {"role": "user", "content": "Look outside."},
        {"role": "assistant", "content": None, "tool_calls": [
            {"id": "1", "type": "function", "function": {"name": "look", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "1", "content": "rain"},
        {"role": "assistant", "content": "It rains."}]},
)  # fmt: skip

VLLM_BENCH = json.dumps(
    {
        "date": "20240101-000000", "endpoint_type": "vllm", "backend": "vllm", "label": None,
        "model_id": "m", "completed": 1,
        "input_lens": [10, 12], "output_lens": [3, 0], "ttfts": [0.1, 0.0],
        "itls": [[0.02, 0.03], []], "start_times": [100.5, 101.0],
        "generated_texts": ["a b c", ""], "errors": ["", "refused"],
    }
)  # fmt: skip


class FileSample(NamedTuple):
    """One whole file of a format."""

    format: str
    name: str
    text: str
    rows: int


SAMPLES = [
    FileSample("vllm-sim", "own.jsonl", VLLM_SIM, 2),
    FileSample("mooncake", "moon.jsonl", MOONCAKE, 3),
    FileSample("timed-trace", "timed.jsonl", TIMED_TRACE, 2),
    FileSample("bailian", "bailian.jsonl", BAILIAN, 3),
    FileSample("azure", "azure23.csv", AZURE_2023, 2),
    FileSample("azure", "azure24.csv", AZURE_2024, 2),
    FileSample("burstgpt", "burst1.csv", BURSTGPT_1, 2),
    FileSample("burstgpt", "burst3.csv", BURSTGPT_3, 3),
    FileSample("kv-cache-tester", "walk.json", KV_CACHE_TESTER, 2),
    FileSample("sharegpt", "share.json", SHAREGPT, 3),
    FileSample("openai", "chat.jsonl", OPENAI, 3),
    FileSample("vllm-bench", "bench.json", VLLM_BENCH, 2),
]


class BrokenSample(NamedTuple):
    """A sample with one thing wrong: replace ``old`` by ``new``; the error says ``said``."""

    what: str
    format: str
    text: str
    old: str
    new: str
    line: int | None
    said: str


BROKEN = [
    # missing columns
    BrokenSample("missing", "vllm-sim", VLLM_SIM, '"response": "Left.", ', "", 2, "no answer"),
    BrokenSample("missing", "mooncake", MOONCAKE, '"output_length": 0, ', "", 2,
                 "no output_length"),
    BrokenSample("missing", "timed-trace", TIMED_TRACE, ', "hash_ids": [7, 10]', "", 2,
                 "no hash_ids"),
    BrokenSample("missing", "bailian", BAILIAN, '"turn": 1, "hash_ids": [4]', '"hash_ids": [4]', 2,
                 "no turn"),
    BrokenSample("missing", "azure", AZURE_2023, "GeneratedTokens", "Tokens", 1,
                 "no column GeneratedTokens"),
    BrokenSample("missing", "burstgpt", BURSTGPT_1, "Request tokens", "Tokens", 1,
                 "no column Request tokens"),
    BrokenSample("missing", "kv-cache-tester", KV_CACHE_TESTER, '"in": 200, ', "", None,
                 "request 2 has no in"),
    BrokenSample("missing", "sharegpt", SHAREGPT, '"value": "How far?"', '"text": "How far?"', 2,
                 "item 1: message 3 has no from and value"),
    BrokenSample("missing", "openai", OPENAI, '"role": "system", ', "", 1, "message 1 has no role"),
    BrokenSample("missing", "vllm-bench", VLLM_BENCH, '"ttfts"', '"ttft"', None,
                 "--save-detailed"),
    # wrong units
    BrokenSample("units", "mooncake", MOONCAKE, '"timestamp": 3000', '"timestamp": 3.5', 3,
                 "--time-unit"),
    BrokenSample("units", "mooncake", MOONCAKE, '"hash_ids": [0, 2, 3]',
                 f'"hash_ids": {list(range(65))}', 3, "--hash-block-size"),
    BrokenSample("units", "timed-trace", TIMED_TRACE, '"hash_ids": [7, 10]', '"hash_ids": [7]', 2,
                 "--hash-block-size"),
    BrokenSample("units", "bailian", BAILIAN, '"hash_ids": [4]', '"hash_ids": []', 2,
                 "do not fit"),
    BrokenSample("units", "azure", AZURE_2023, "2023-11-16 18:15:50.9951690", "1700158550.99", 3,
                 "wall clock"),
    BrokenSample("units", "azure", AZURE_2023, "396", "396.0", 3, "whole number of tokens"),
    BrokenSample("units", "burstgpt", BURSTGPT_1, "45.5,", "2023-11-16 18:15:46,", 3,
                 "number of seconds"),
    BrokenSample("units", "burstgpt", BURSTGPT_1, ",490,", ",491,", 2, "add up"),
    BrokenSample("units", "kv-cache-tester", KV_CACHE_TESTER, '"block_size": 64',
                 '"block_size": 16', None, "hash_ids of 16 tokens"),
    BrokenSample("units", "vllm-sim", VLLM_SIM, '"timestamp": 1.5', '"timestamp": "1.5 s"', 3,
                 "timestamp"),
    # negative
    BrokenSample("negative", "vllm-sim", VLLM_SIM, '"turn": 2', '"turn": -2', 3, "negative"),
    BrokenSample("negative", "mooncake", MOONCAKE, '"output_length": 5', '"output_length": -5', 1,
                 "negative"),
    BrokenSample("negative", "mooncake", MOONCAKE, '"hash_ids": [0, 1]', '"hash_ids": [0, -1]', 1,
                 "negative"),
    BrokenSample("negative", "timed-trace", TIMED_TRACE, '"timestamp": 0.25', '"timestamp": -0.25',
                 1, "timestamp"),
    BrokenSample("negative", "bailian", BAILIAN, '"output_length": 2', '"output_length": -2', 2,
                 "negative"),
    BrokenSample("negative", "azure", AZURE_2023, ",109", ",-109", 3, "negative"),
    BrokenSample("negative", "burstgpt", BURSTGPT_1, "472,18,490", "-472,18,-454", 2, "negative"),
    BrokenSample("negative", "kv-cache-tester", KV_CACHE_TESTER, '"out": 9', '"out": -9', None,
                 "request 2: output_length is negative"),
    BrokenSample("negative", "vllm-bench", VLLM_BENCH, '"output_lens": [3', '"output_lens": [-3', 1,
                 "negative"),
    # NaN
    BrokenSample("nan", "vllm-sim", VLLM_SIM, '"timestamp": 1.5', '"timestamp": NaN', 3, "JSON"),
    BrokenSample("nan", "mooncake", MOONCAKE, '"timestamp": 3000', '"timestamp": NaN', 3, "NaN"),
    BrokenSample("nan", "timed-trace", TIMED_TRACE, '"timestamp": 1.5', '"timestamp": Infinity', 2,
                 "Infinity"),
    BrokenSample("nan", "bailian", BAILIAN, '"timestamp": 8.0', '"timestamp": NaN', 3, "NaN"),
    BrokenSample("nan", "azure", AZURE_2023, ",109", ",nan", 3, "whole number of tokens"),
    BrokenSample("nan", "burstgpt", BURSTGPT_1, "45.5,", "nan,", 3, "number of seconds"),
    BrokenSample("nan", "kv-cache-tester", KV_CACHE_TESTER, '"t": 9.0', '"t": NaN', None, "JSON"),
    BrokenSample("nan", "sharegpt", SHAREGPT, '"value": "How far?"', '"value": NaN', None, "NaN"),
    BrokenSample("nan", "openai", OPENAI, '"content": "rain"', '"content": NaN', 2, "NaN"),
    BrokenSample("nan", "vllm-bench", VLLM_BENCH, '"ttfts": [0.1', '"ttfts": [NaN', None, "JSON"),
    # the same turn, chat or conversation twice
    BrokenSample("duplicate", "vllm-sim", VLLM_SIM, '"turn": 2', '"turn": 1', 3, "line 2"),
    BrokenSample("duplicate", "bailian", BAILIAN, '"chat_id": 6', '"chat_id": 5', 2, "twice"),
    BrokenSample("duplicate", "sharegpt", SHAREGPT, '"x2"', '"x1"', None, "--renumber"),
    BrokenSample("duplicate", "openai", OPENAI, '"c2"', '"c1"', 2, "--renumber"),
    # times that run backwards
    BrokenSample("unsorted", "vllm-sim", VLLM_SIM, '"timestamp": 0.0', '"timestamp": 2.0', 3,
                 "--sort"),
    BrokenSample("unsorted", "mooncake", MOONCAKE, '{"timestamp": 0, "input_length": 600',
                 '{"timestamp": 1, "input_length": 600', 2, "--sort"),
    BrokenSample("unsorted", "timed-trace", TIMED_TRACE, '"timestamp": 0.25', '"timestamp": 2.25',
                 2, "--sort"),
    BrokenSample("unsorted", "bailian", BAILIAN, '"timestamp": 0.5', '"timestamp": 0.9', 2,
                 "--sort"),
    BrokenSample("unsorted", "azure", AZURE_2023, "18:15:46", "19:15:46", 3, "--sort"),
    BrokenSample("unsorted", "burstgpt", BURSTGPT_1, "\n5,", "\n55,", 3, "--sort"),
    BrokenSample("unsorted", "kv-cache-tester", KV_CACHE_TESTER, '"t": 0.0', '"t": 10.0', 2,
                 "--sort"),
    BrokenSample("unsorted", "vllm-bench", VLLM_BENCH, "100.5", "102.5", 2, "--sort"),
]  # fmt: skip
