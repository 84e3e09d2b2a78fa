"""The real server over HTTP, with the official client: what a client sees of a trace."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import openai
import pytest
from support.paths import DEMO_MODEL
from support.server import Server
from support.traces import write_trace

pytestmark = [pytest.mark.server, pytest.mark.slow]

TEXTS = {
    "plain": " The answer is forty-two.",
    "spaces": "   three before, two after  ",
    "newlines": "\n\nfirst\n\tsecond\r\nthird\n",
    "chinese": "北京是中国的首都，人口约两千一百万。",
    "emoji": "🎉 family: 👩‍👩‍👧‍👦 flag: 🇨🇭 skin: 👍🏽",
    "code": 'def f(x: int) -> str:\n    return f"{x!r}"  # ünïcödé\n',
    "specials": "a < b && c > d </s> {{}} %s \\n \u200b",
}
LONG = "Here is the text that everyone asks about. " * 12
TOOL_CALL = '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Bern"}}\n</tool_call>'
TOOLS = [
    {"type": "function", "function": {"name": "get_weather", "parameters": {
        "type": "object", "properties": {"city": {"type": "string"}}}}}
]  # fmt: skip
WEATHER = [{"role": "user", "content": "How is the weather in Bern?"}]

ROWS = [
    {"prompt": "Hello", "response": " world!"},
    {"prompt": "Hi", "response": " there, nice to meet you."},
    {"prompt": "StopCase", "response": " hello STOP and more"},
    {"prompt": "special", "response": "a<|im_start|>b"},
    *({"prompt": "Roll a die:", "response": f" {n}"} for n in (1, 2, 3)),
    *({"prompt": f"text {name}", "response": text} for name, text in TEXTS.items()),
    {"messages": [{"role": "user", "content": "Who are you?"}], "response": "A recording."},
    {"prompt_token_ids": [70, 71, 72], "response_token_ids": [80, 81, 82],
     "logprobs": [-0.25, -0.5, -1.0]},
    {"prompt": LONG + "One?", "response": " one"},
    {"prompt": LONG + "Two?", "response": " two"},
    {"messages": WEATHER, "tools": TOOLS, "response": TOOL_CALL},
    {"prompt": "json", "response": '{"name": "Ada", "age": 36}'},
    {"prompt": "not json", "response": "I would rather not."},
]  # fmt: skip
SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("serve")
    trace = write_trace(folder / "trace.jsonl", ROWS)
    with Server(
        DEMO_MODEL, "--use-simulator", "--sim-trace", str(trace), "--max-model-len", "8192",
        "--enable-prompt-tokens-details", "--enable-auto-tool-choice", "--tool-call-parser",
        "hermes", log=folder / "log.txt",
    ) as server:  # fmt: skip
        yield server


@pytest.fixture(scope="module")
def client(server):
    return server.client()


def complete(client, prompt, **options):
    return client.completions.create(model="sim", prompt=prompt, **{"max_tokens": 200, **options})


def test_the_three_cases(client):
    hello, hi, stop = (
        complete(client, prompt, **options).choices[0]
        for prompt, options in [
            ("Hello", {}), ("Hi", {"max_tokens": 3}), ("StopCase", {"stop": ["STOP"]}),
        ]
    )  # fmt: skip
    assert (hello.text, hello.finish_reason) == (" world!", "stop")
    assert (hi.text, hi.finish_reason) == (" there, n", "length")
    assert (stop.text, stop.finish_reason, stop.stop_reason) == (" hello ", "stop", "STOP")


@pytest.mark.parametrize("name", TEXTS)
def test_text_comes_back_to_the_byte_plain_and_streamed(client, name):
    prompt = f"text {name}"
    assert complete(client, prompt).choices[0].text.encode() == TEXTS[name].encode()
    stream = complete(client, prompt, stream=True)
    assert "".join(chunk.choices[0].text for chunk in stream).encode() == TEXTS[name].encode()


def test_a_streamed_answer_ends_with_its_reason_and_usage(client):
    chunks = list(complete(client, "Hello", stream=True, stream_options={"include_usage": True}))
    assert chunks[-2].choices[0].finish_reason == "stop"
    # BOS and the word; three tokens of text and the end token.
    assert (chunks[-1].usage.prompt_tokens, chunks[-1].usage.completion_tokens) == (2, 4)


def test_chat_plain_and_streamed(client):
    messages = [{"role": "user", "content": "Who are you?"}]
    answer = client.chat.completions.create(model="sim", messages=messages)
    assert answer.choices[0].message.content == "A recording."
    assert answer.choices[0].finish_reason == "stop"
    stream = client.chat.completions.create(model="sim", messages=messages, stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == "A recording."


def test_text_messages_and_ids_match_the_same_row(client, server):
    answer = post(server, "/tokenize", {"prompt": "Hello"})
    assert complete(client, answer["tokens"]).choices[0].text == " world!"
    rendered = post(
        server, "/tokenize", {"messages": [{"role": "user", "content": "Who are you?"}]}
    )
    assert complete(client, rendered["tokens"]).choices[0].text == "A recording."


def test_responses_and_anthropic_messages(client, server):
    answer = client.responses.create(model="sim", input="Who are you?")
    assert answer.output_text == "A recording."
    message = post(
        server, "/v1/messages",
        {"model": "sim", "max_tokens": 50,
         "messages": [{"role": "user", "content": "Who are you?"}]},
    )  # fmt: skip
    assert message["content"][0]["text"] == "A recording."


def test_a_tool_call_goes_through_vllms_parser(client):
    answer = client.chat.completions.create(model="sim", messages=WEATHER, tools=TOOLS)
    (call,) = answer.choices[0].message.tool_calls
    assert answer.choices[0].finish_reason == "tool_calls"
    assert call.function.name == "get_weather"
    assert json.loads(call.function.arguments) == {"city": "Bern"}


def test_repeated_prompts_get_their_answers_in_order_and_cycle(client):
    texts = [complete(client, "Roll a die:").choices[0].text for _ in range(4)]
    assert texts == [" 1", " 2", " 3", " 1"]
    choices = complete(client, "Roll a die:", n=2).choices
    assert [choice.text for choice in choices] == [" 2", " 3"]


def test_options_that_end_an_answer_or_keep_it_going(client):
    def text(**extra):
        choice = complete(client, "Hello", max_tokens=9, extra_body=extra).choices[0]
        return choice.text, choice.finish_reason

    assert text(min_tokens=5) == (" world! world", "stop")
    assert text(ignore_eos=True)[1] == "length"
    assert text(ignore_eos=True)[0].startswith(" world! world!")
    ids = complete(client, "Hello", extra_body={"return_token_ids": True}).choices[0].token_ids
    assert text(stop_token_ids=[ids[1]])[1] == "stop"
    kept = complete(
        client, "StopCase", stop=["STOP"], extra_body={"include_stop_str_in_output": True}
    )
    assert kept.choices[0].text == " hello STOP"
    shown = complete(client, "special", extra_body={"skip_special_tokens": False})
    assert shown.choices[0].text == "a<|im_start|>b"
    assert complete(client, "special").choices[0].text == "ab"


def test_logprobs_are_the_recorded_ones_or_certainty(client):
    recorded = complete(client, [70, 71, 72], logprobs=2).choices[0].logprobs
    assert recorded.token_logprobs == [-0.25, -0.5, -1.0, 0.0]
    certain = client.chat.completions.create(
        model="sim", messages=[{"role": "user", "content": "Who are you?"}],
        logprobs=True, top_logprobs=3,
    )  # fmt: skip
    assert {token.logprob for token in certain.choices[0].logprobs.content} == {0.0}


@pytest.mark.parametrize("stream", [False, True])
def test_an_unmatched_prompt_is_a_400_that_says_why(client, server, stream):
    before = server.metric("sim:trace_misses_total")
    for ask in (
        lambda: complete(client, "Hello there", stream=stream),
        lambda: complete(client, ["Hello", "Hello there"], stream=stream),
        lambda: client.chat.completions.create(
            model="sim", messages=[{"role": "user", "content": "Hello there"}], stream=stream
        ),
        lambda: client.responses.create(model="sim", input="Hello there", stream=stream),
    ):
        with pytest.raises(openai.BadRequestError) as refused:
            ask()
        body = refused.value.body
        assert body["code"] == 400 and body["param"] == "prompt"
        assert "Hello there" in body["message"] and "line " in body["message"]
    assert server.metric("sim:trace_misses_total") == before + 4
    assert complete(client, "Hello").choices[0].text == " world!"


def test_structured_output_passes_or_is_repaired(client, server):
    options = {"extra_body": {"structured_outputs": {"json": SCHEMA}}}
    kept = complete(client, "json", **options).choices[0]
    assert (kept.text, kept.finish_reason) == (ROWS[-2]["response"], "stop")
    repaired = complete(client, "not json", **options).choices[0]
    assert repaired.finish_reason == "stop"
    assert set(json.loads(repaired.text)) == {"name", "age"}
    assert "leaves the request's grammar" in server.log()


def test_shared_prefixes_are_cached_and_reported(client, server):
    hits = server.metric("vllm:prefix_cache_hits_total")
    first = complete(client, LONG + "One?").usage
    second = complete(client, LONG + "Two?").usage
    cached = second.prompt_tokens_details.cached_tokens
    assert first.prompt_tokens_details.cached_tokens == 0
    assert cached % 16 == 0 and second.prompt_tokens - 32 < cached < second.prompt_tokens
    assert server.metric("vllm:prefix_cache_hits_total") - hits == cached


def test_a_client_that_leaves_aborts_its_request(client, server):
    generated = server.metric("vllm:generation_tokens_total")
    stream = complete(
        client, "Hello", stream=True, max_tokens=8000, extra_body={"ignore_eos": True}
    )
    next(iter(stream))
    stream.close()
    deadline = time.monotonic() + 20
    while server.metric("vllm:num_requests_running"):
        assert time.monotonic() < deadline, "the request was not aborted"
        time.sleep(0.1)
    assert server.metric("vllm:generation_tokens_total") - generated < 8000


def test_many_clients_at_once(client):
    prompts = list(TEXTS) * 10
    with ThreadPoolExecutor(32) as pool:
        texts = pool.map(lambda name: complete(client, f"text {name}").choices[0].text, prompts)
        assert list(texts) == [TEXTS[name] for name in prompts]


def post(server, path: str, body: dict) -> dict:
    request = urllib.request.Request(
        server.url + path, json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read())
    except urllib.error.HTTPError as error:
        raise AssertionError(error.read().decode()) from None
