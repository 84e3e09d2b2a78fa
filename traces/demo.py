"""Serve demo.jsonl with the real vLLM, talk to it with the official client, and stop it.

usage: demo.py [OPTION OF vllm serve]...
"""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import demo_text as text
from openai import OpenAI, OpenAIError

HERE = Path(__file__).parent
MODEL = "demo-model"
START_LIMIT_S = 300.0  # the first import on a cold disk takes a minute or more
STOP_LIMIT_S = 20.0

STYLED = sys.stdout.isatty() and "NO_COLOR" not in os.environ


class DemoError(Exception):
    """The server did not do what the demo needs; the message says what happened."""


def styled(code: int, words: str) -> str:
    return f"\033[{code}m{words}\033[0m" if STYLED else words


def heading(words: str) -> None:
    print(f"\n{styled(1, words)}")


def note(words: str) -> None:
    print(styled(2, f"  {words}"), flush=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def get(url: str) -> str | None:
    """The body of a 200 answer, None while nobody answers or the answer is another."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return str(answer.read(), "utf-8")
    except (urllib.error.URLError, OSError):
        return None


def log_tail(log: IO[bytes], lines: int = 25) -> str:
    log.seek(0)
    return b"".join(log.readlines()[-lines:]).decode("utf-8", "replace")


def wait_until_ready(server: subprocess.Popen[bytes], url: str, log: IO[bytes]) -> None:
    limit = time.monotonic() + START_LIMIT_S
    while get(f"{url}/health") is None:
        if server.poll() is not None:
            raise DemoError(f"the server ended with code {server.returncode}:\n{log_tail(log)}")
        if time.monotonic() > limit:
            raise DemoError(f"not ready after {START_LIMIT_S:.0f} s:\n{log_tail(log)}")
        time.sleep(0.1)


def stop(server: subprocess.Popen[bytes]) -> None:
    """End the server and the engine process that it started; both are in its process group."""
    if server.poll() is None:
        server.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            server.wait(STOP_LIMIT_S)
    with suppress(ProcessLookupError):  # raised where the whole group is gone, as it should be
        os.killpg(server.pid, signal.SIGKILL)
    server.wait()


@contextmanager
def serving(options: list[str]) -> Iterator[str]:
    """Run `vllm serve` on the demo trace; yields its address once it answers, and stops it."""
    port = free_port()
    command = [
        *(str(Path(sys.executable).parent / "vllm"), "serve", str(HERE / "demo-model")),
        *("--served-model-name", MODEL, "--host", "127.0.0.1", "--port", str(port)),
        *("--use-simulator", "--sim-trace", str(HERE / "demo.jsonl")),
        "--enable-prompt-tokens-details",
        *("--sim-latency", "constant:ttft=100ms,itl=10ms"),  # slow enough to watch it stream
        *options,
    ]
    heading("Starting the real vLLM server, with a recording in place of the model")
    note(" ".join(command).replace(f"{Path.cwd()}/", ""))
    begin = time.monotonic()
    with tempfile.TemporaryFile() as log:
        # A group of its own, so that stopping it reaches every process that it started.
        server = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        try:
            url = f"http://127.0.0.1:{port}"
            wait_until_ready(server, url, log)
            note(f"ready after {time.monotonic() - begin:.1f} s")
            yield url
        finally:
            # Whoever presses Ctrl-C twice must not leave a server behind.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            stop(server)
            note("server stopped")


def asked(words: str) -> None:
    """Print a question, or the end of a long one."""
    shown = words if len(words) < 200 else f"… {words[-150:]}"
    print(f"\n  {styled(36, shown.rstrip())}\n  ", end="", flush=True)


def answered(words: str) -> None:
    """Print a piece of an answer, as it comes."""
    print(words.replace("\n", "\n  "), end="", flush=True)


def ended(finish_reason: str | None, usage: Any) -> None:
    cached = usage.prompt_tokens_details.cached_tokens if usage.prompt_tokens_details else 0
    print()
    note(
        f"[{finish_reason}: {usage.prompt_tokens} prompt tokens, {cached or 0} of them from the"
        f" prefix cache, {usage.completion_tokens} generated]"
    )


def complete(client: OpenAI, prompt: str, max_tokens: int = 400) -> str:
    asked(prompt)
    answer = client.completions.create(model=MODEL, prompt=prompt, max_tokens=max_tokens)
    answered(answer.choices[0].text)
    ended(answer.choices[0].finish_reason, answer.usage)
    return answer.choices[0].text


def chat(client: OpenAI, messages: list[Any]) -> str:
    asked(messages[-1]["content"])
    answer = client.chat.completions.create(model=MODEL, messages=messages)
    answered(answer.choices[0].message.content or "")
    ended(answer.choices[0].finish_reason, answer.usage)
    return answer.choices[0].message.content or ""


def stream(chunks: Any, piece_of: Callable[[Any], str | None]) -> str:
    """Print a streamed answer piece by piece; the last chunk brings the usage."""
    whole, finish_reason, usage = "", None, None
    for chunk in chunks:
        for choice in chunk.choices:
            piece = piece_of(choice) or ""
            whole += piece
            answered(piece)
            finish_reason = choice.finish_reason or finish_reason
        usage = chunk.usage or usage
    ended(finish_reason, usage)
    return whole


def stream_completion(client: OpenAI, prompt: str, max_tokens: int = 400) -> str:
    asked(prompt)
    chunks = client.completions.create(
        model=MODEL,
        prompt=prompt,
        max_tokens=max_tokens,
        stream=True,
        stream_options={"include_usage": True},
    )
    return stream(chunks, lambda choice: choice.text)


def stream_chat(client: OpenAI, messages: list[Any]) -> str:
    asked(messages[-1]["content"])
    chunks = client.chat.completions.create(
        model=MODEL, messages=messages, stream=True, stream_options={"include_usage": True}
    )
    return stream(chunks, lambda choice: choice.delta.content)


def metric(metrics: str, name: str) -> float:
    """A counter of /metrics, summed over its labels."""
    lines = [line for line in metrics.splitlines() if line.startswith((f"{name}{{", f"{name} "))]
    if not lines:
        raise DemoError(f"/metrics has no {name}")
    return sum(float(line.rpartition(" ")[2]) for line in lines)


def show_prefix_cache(url: str) -> None:
    metrics = get(f"{url}/metrics")
    if metrics is None:
        raise DemoError("/metrics does not answer")
    queries = metric(metrics, "vllm:prefix_cache_queries_total")
    hits = metric(metrics, "vllm:prefix_cache_hits_total")
    heading(f"Prefix-cache hit rate, from /metrics: {hits / queries:.0%}")
    note(f"{hits:.0f} of {queries:.0f} prompt tokens were already in the KV cache")


def check(answer: str, recorded: str) -> None:
    if answer != recorded:
        raise DemoError(f"the recording says {recorded!r}, the server said {answer!r}")


def talk(client: OpenAI) -> None:
    """Requests of every kind; each answer has to be the recorded one, to the byte."""
    completions = dict(text.COMPLETIONS)

    heading("Completions, plain")
    for prompt in ("Hello", "用一句话解释什么是缓存："):
        check(complete(client, prompt), completions[prompt])

    heading("Completions, streamed: code, and emoji that take several tokens each")
    for prompt in ("def fibonacci(n: int) -> int:\n", "Emoji for a long journey:"):
        check(stream_completion(client, prompt), completions[prompt])

    heading("Cut off by max_tokens")
    story = "Once upon a time, in a town where every clock was wrong,"
    answer = complete(client, story, max_tokens=24)
    check(answer, completions[story][: len(answer)])

    heading("One prompt that was recorded four times: the answers take turns")
    for recorded in text.REPEATED_ANSWERS[:3]:
        check(complete(client, text.REPEATED_PROMPT), recorded)

    heading("Chats, streamed: one long system prompt, computed once")
    for question, recorded in text.LIBRARY_QUESTIONS[2:6]:
        messages = [
            {"role": "system", "content": text.LIBRARY},
            {"role": "user", "content": question},
        ]
        check(stream_chat(client, messages), recorded)

    heading("A conversation, plain: each turn sends the whole history")
    history: list[Any] = []
    dialogue = text.CHATS[0]
    for question, recorded in zip(dialogue[::2], dialogue[1::2], strict=True):
        history.append({"role": "user", "content": question})
        check(chat(client, history), recorded)
        history.append({"role": "assistant", "content": recorded})


def main() -> int:
    # So that `kill` ends the server too, and not only this program.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    # A proxy would be asked for a server on this machine.
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1"
    try:
        with serving(sys.argv[1:]) as url:
            talk(OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0, timeout=60))
            show_prefix_cache(url)
    except (DemoError, OpenAIError) as error:
        print(f"\ndemo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return 130
    print(
        "\nNext: `make serve` keeps the server running; traces/README.md says what else is there."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
