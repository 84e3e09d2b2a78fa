"""The scripts: what arrives and what leaves, before which step. The models' vocabulary is
about 1,300 tokens; prompts are drawn from ids that are whole pieces of text."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from support.script import Abort, Add, Answers, Script

_FIRST_TEXT_ID, _LAST_TEXT_ID = 300, 1200
_EOS = 2


def words(seed: int | str, count: int) -> list[int]:
    """A prompt of `count` tokens, the same whenever the seed is."""
    rng = random.Random(f"prompt {seed}")
    return [rng.randint(_FIRST_TEXT_ID, _LAST_TEXT_ID) for _ in range(count)]


def exactly(tokens: int) -> dict[str, Any]:
    """So many tokens, whatever the model says."""
    return {"max_tokens": tokens, "ignore_eos": True}


def request(id: str, prompt_tokens: int, output_tokens: int, priority: int = 0) -> Add:
    return Add(id, words(id, prompt_tokens), exactly(output_tokens), priority)


def mixed_lengths() -> Script:
    """Prompts of 1 to 200 tokens, answers of 1 to 60, in one batch; one meets the model's limit."""
    sizes = [(1, 60), (31, 1), (32, 33), (33, 5), (200, 20), (97, 40), (64, 64)]
    return {
        0: [request(f"m{at}", size, out) for at, (size, out) in enumerate(sizes)],
        3: [request("limit", 490, 400)],  # max_model_len ends it
    }


def staggered() -> Script:
    """An arrival in nearly every step, while others decode; more of them than seats."""
    return {
        at: [request(f"s{at}", 20 + at * 13 % 90, 8 + at * 7 % 30)]
        for at in (0, 1, 2, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 17, 30, 31)
    }


def chunked_prefill() -> Script:
    """Prompts of many times the token budget, next to requests that decode."""
    return {
        0: [request("short", 10, 40)],
        2: [request("long1", 300, 10), request("long2", 250, 10)],
        4: [request("long3", 129, 3), request("one", 1, 6)],
        6: [Abort("long2")],  # while it is being prefilled, or waits
    }  # fmt: skip


def shared_prefixes() -> Script:
    """System prompts shared by many; whole prompts repeated; a salt, and a request that may not
    read the cache; with few blocks, eviction between the waves."""
    system = {name: words(f"system {name}", 128) for name in "xyz"}
    wave = [
        (0, "a", "x"), (1, "b", "x"), (6, "c", "y"), (12, "d", "x"), (18, "e", "z"),
        (24, "f", "y"), (30, "g", "x"), (31, "h", "z"), (50, "i", "x"), (51, "j", "y"),
    ]  # fmt: skip
    script: dict[int, list[Add | Abort]] = {}
    for at, name, group in wave:
        script.setdefault(at, []).append(
            Add(f"p{name}", system[group] + words(f"p{name}", 17), exactly(12))
        )
    script[60] = [
        Add("again", system["x"] + words("pa", 17), exactly(5)),
        Add("salted", system["x"] + words("salted", 5), exactly(5), cache_salt="other tenant"),
        Add("uncached", system["x"] + words("u", 9), exactly(5) | {"prompt_logprobs": 0}),
        Add("whole", list(system["x"]), exactly(5)),  # hits may cover all but the last token
    ]
    return script


def turns() -> Script:
    """Conversations: each turn's prompt holds the answers before it."""
    opening = {name: words(f"turn {name}", 40 + 11 * at) for at, name in enumerate("ab")}

    def prompt(name: str, turn: int) -> Callable[[Answers], list[int]]:
        def build(answers: Answers) -> list[int]:
            ids = list(opening[name])
            for before in range(turn):
                ids += answers[f"t{name}{before}"].token_ids + words(f"{name}{before}", 9)
            return ids

        return build

    return {
        turn * 45: [Add(f"t{name}{turn}", prompt(name, turn), exactly(30)) for name in "ab"]
        for turn in range(4)
    }


def exhaustion() -> Script:
    """More live tokens than the cache holds: preemption in mid-decode, and recomputation."""
    return {
        0: [request(f"x{at}", 40 + 9 * at, 90 + at) for at in range(5)],
        20: [request("x5", 100, 30), request("x6", 5, 80)],
        70: [Abort("x1"), Abort("x5")],
    }


def priorities() -> Script:
    """Late requests that matter more push earlier ones out; ties are broken by arrival."""
    return {
        0: [request(f"l{at}", 60, 70, priority=5) for at in range(4)],
        10: [request("h0", 90, 40, priority=0)],
        11: [request("m0", 70, 40, priority=3), request("m1", 70, 40, priority=3)],
        25: [request("h1", 120, 20, priority=-1)],
        40: [Abort("m1")],
    }  # fmt: skip


def several_answers() -> Script:
    """n = 3: three answers to one prompt, sampled with a seed, next to others."""
    sampled = {"n": 3, "temperature": 1.0, "seed": 7}
    return {
        0: [Add("n3", words("n3", 70), exactly(25) | sampled), request("alone", 20, 30)],
        4: [Add("n3b", words("n3b", 33), exactly(10) | sampled)],
        9: [Add("after", words("n3", 70), exactly(5))],
    }  # fmt: skip


def endings() -> Script:
    """Every way to end: a stop string (across tokens too), a stop token, EOS, min_tokens,
    ignore_eos, max_tokens. Strings and tokens are taken from what the model said before."""
    prompt = words("endings", 50)

    def stop_string(start: int, end: int, **more: Any) -> Callable[[Answers], dict[str, Any]]:
        return lambda answers: {"max_tokens": 40, "stop": [answers["free"].text[start:end]]} | more

    def stop_token(answers: Answers) -> dict[str, Any]:
        return {"max_tokens": 40, "stop_token_ids": [answers["free"].token_ids[11]]}

    # Of nine tokens the end token is the likeliest often enough.
    ends_soon = {"max_tokens": 60, "allowed_token_ids": [_EOS, *range(400, 408)]}
    return {
        0: [Add("free", prompt, exactly(40))],
        45: [
            Add("string", prompt, stop_string(30, 36)),
            Add("string+", prompt, stop_string(55, 61, include_stop_str_in_output=True)),
            Add("token", prompt, stop_token),
            Add("late", prompt, stop_string(20, 24, min_tokens=15)),
        ],
        46: [
            *(Add(f"eos{at}", words(f"eos{at}", 12 + at), ends_soon) for at in range(3)),
            Add("min", words("eos0", 12), ends_soon | {"min_tokens": 20}),
            Add("never", words("eos1", 13), ends_soon | {"ignore_eos": True, "max_tokens": 25}),
        ],
        60: [request("next", 12, 6)],
    }


def aborts() -> Script:
    """Clients that leave: in mid-decode, before the first token, while waiting, twice, too late."""
    return {
        0: [request(f"b{at}", 30 + at, 50) for at in range(8)],
        1: [Abort("b7"), request("gone", 10, 5), Abort("gone")],
        5: [Abort("b0"), Abort("b3"), request("b8", 77, 30)],
        6: [Abort("b0"), Abort("unknown")],
        7: [Abort("b8")],
        20: [
            Abort("b1"),
            Add("b9", words("b1", 31), exactly(9)),
        ],  # b1's prompt: its blocks are hot
        70: [Abort("b2")],  # has ended
    }


def grammars() -> Script:
    """Structured output: the mask must let pass what the real engine sampled under it."""
    from vllm.sampling_params import StructuredOutputsParams

    def bound(**grammar: Any) -> dict[str, Any]:
        return {"max_tokens": 40, "structured_outputs": StructuredOutputsParams(**grammar)}

    return {
        0: [
            Add("regex", words("regex", 20), bound(regex=r"[a-c]{3}-[0-9]{2,6}")),
            request("plain", 9, 20),
        ],
        2: [Add("choice", words("choice", 40), bound(choice=["yes", "no", "perhaps not"]))],
    }  # fmt: skip


def random_traffic(
    seed: int, requests: int = 60, most_tokens: int = 120, priority: bool = False
) -> Script:
    """Whatever a seeded generator throws: bursts, shared prefixes, aborts."""
    rng = random.Random(f"traffic {seed}")
    script: dict[int, list[Add | Abort]] = {}
    at = 0
    for number in range(requests):
        at += rng.choice((0, 0, 1, 2, 5))
        name = f"r{seed}.{number}"
        shared = words(f"shared {seed} {rng.randrange(4)}", rng.choice((0, 32, 64, 100)))
        prompt = shared + words(name, rng.randint(1, most_tokens))
        script.setdefault(at, []).append(
            Add(
                name,
                prompt,
                exactly(rng.randint(1, 40)),
                priority=rng.randint(-2, 2) if priority else 0,
            )
        )
        if rng.random() < 0.15:
            script.setdefault(at + rng.randint(0, 25), []).append(Abort(name))
    return script
