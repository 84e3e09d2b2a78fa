"""The trace store and the replay cursor alone: no vLLM, no torch, no model.

The package is loaded under a name of its own, which works because its base rooms
import each other relatively and nothing else of vLLM. Run as a script too:
``python tests/standalone_tests/test_simulator_unit_standalone.py``.
"""

from __future__ import annotations

import gzip
import importlib
import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

SIM = Path(__file__).parents[2] / "vllm" / "sim"
ALIAS = "sim_standalone"


def load(module: str):
    """A module of ``vllm.sim``, with no ``vllm`` around it."""
    if ALIAS not in sys.modules:
        spec = importlib.util.spec_from_file_location(
            ALIAS, SIM / "__init__.py", submodule_search_locations=[str(SIM)]
        )
        package = importlib.util.module_from_spec(spec)
        sys.modules[ALIAS] = package
        spec.loader.exec_module(package)
    return importlib.import_module(f"{ALIAS}.{module}")


errors, cursor, read, store, synthetic = (
    load(name)
    for name in ("errors", "trace.cursor", "trace.read", "trace.store", "trace.synthetic")
)

END = 256  # of a tokenizer whose tokens are bytes


def encode(text: str) -> list[int]:
    return list(text.encode())


def decode(tokens: list[int]) -> str:
    return bytes(token for token in tokens if token != END).decode()


def store_of(path: Path, rows: list[dict]):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    file = read.TraceFile(path)
    return store.TraceStore(file, lambda rows: [encode(placed.row.prompt) for placed in rows])


def generate(replay, max_tokens: int, stop: str | None = None) -> tuple[str, str]:
    """A decode loop as an engine would run it; returns text and finish reason."""
    tokens: list[int] = []
    while len(tokens) < max_tokens:
        tokens.append(replay.token_at(len(tokens)))
        text = decode(tokens)
        if tokens[-1] == END:
            return text, "stop"
        if stop is not None and stop in text:
            return text[: text.index(stop)], "stop"
    return decode(tokens), "length"


@pytest.mark.parametrize(
    ("prompt", "response", "max_tokens", "stop", "text", "reason"),
    [
        ("Hello", " world!", 100, None, " world!", "stop"),
        ("Hi", " there", 3, None, " th", "length"),
        ("StopCase", " hello STOP and more", 100, "STOP", " hello ", "stop"),
    ],
)
def test_a_prompt_gets_its_recorded_answer(
    tmp_path, prompt, response, max_tokens, stop, text, reason
):
    trace = store_of(
        tmp_path / "x.jsonl",
        [{"prompt": "other", "response": "no"}, {"prompt": prompt, "response": response}],
    )
    (place,) = trace.find(encode(prompt))
    row = trace.row(place)
    replay = cursor.ReplayCursor(cursor.Answer(encode(row.response)), END)
    assert place.line == 2
    assert generate(replay, max_tokens, stop) == (text, reason)


def test_a_prompt_recorded_twice_has_both_answers_in_order(tmp_path):
    rows = [{"prompt": "a", "response": str(n)} for n in range(3)]
    rows.insert(1, {"prompt": "b", "response": "x"})
    trace = store_of(tmp_path / "x.jsonl", rows)
    assert [place.line for place in trace.find(encode("a"))] == [1, 3, 4]
    assert trace.find(encode("c")) == []
    assert (len(trace), trace.distinct_prompts) == (4, 2)


def test_the_closest_prompt_shares_the_longest_start(tmp_path):
    prompts = ["What is a cat?", "What is a dog?", "Where is a dog?", "What is a dog park?"]
    trace = store_of(tmp_path / "x.jsonl", [{"prompt": p, "response": "."} for p in prompts])
    closest = trace.closest(encode("What is a dog!"))
    assert closest.placed.row.prompt == "What is a dog?"
    assert closest.common_tokens == len("What is a dog")


@pytest.mark.parametrize("min_tokens", [0, 3, 5, 12])
def test_an_answer_ends_after_its_tokens_or_min_tokens(min_tokens):
    replay = cursor.ReplayCursor(cursor.Answer([7, 8, 9]), END, min_tokens)
    tokens = [replay.token_at(position) for position in range(20)]
    end = tokens.index(END)
    assert end == max(3, min_tokens)
    assert tokens[:end] == [(7, 8, 9)[position % 3] for position in range(end)]
    assert set(tokens[end:]) == {END}


def test_without_an_end_an_answer_repeats_itself():
    replay = cursor.ReplayCursor(cursor.Answer([7, 8]), None)
    assert [replay.token_at(position) for position in range(5)] == [7, 8, 7, 8, 7]


def test_a_recorded_end_token_is_the_end_and_not_content():
    replay = cursor.ReplayCursor(cursor.Answer([7, END]), END, min_tokens=4)
    assert [replay.token_at(position) for position in range(5)] == [7, 7, 7, 7, END]


def test_an_empty_answer_ends_at_once():
    assert cursor.ReplayCursor(cursor.Answer([]), END).token_at(0) == END


def test_recorded_logprobs_and_certainty_without_them():
    answer = cursor.Answer([7, 8], [-0.5, -1.5])
    replay = cursor.ReplayCursor(answer, END)
    assert [replay.logprob_at(position) for position in range(3)] == [-0.5, -1.5, 0.0]


@pytest.mark.parametrize(
    ("content", "line", "cause"),
    [
        (b'{"prompt": "a"}\n', 1, "no answer"),
        (b'{"response": "a"}\n', 1, "no prompt"),
        (b'\n{"prompt": 1, "response": "b"}\n', 2, "prompt: Expected str"),
        (b'{"prompt": "a", "response": "b"}\n[]\n', 2, "a row is a JSON object"),
        (b'{"prompt": "a", "response": "b"\n', 1, "not valid JSON"),
        (b'{"prompt": "a", "resp', 1, "cut off"),
        (b'{"prompt": "\xff", "response": "b"}\n', 1, "not UTF-8: byte 0xff at column 13"),
        (b'{"prompt": "a", "response": "b", "timestamp": -1}\n', 1, "timestamp"),
        (b'{"prompt": "a", "response": "b", "itl": [0.1, "x"]}\n', 1, "itl"),
        (b'{"prompt": "a", "prompt_token_ids": [1], "response": "b"}\n', 1, "several prompts"),
        (b'{"vllm_sim_trace": 9}\n{"prompt": "a", "response": "b"}\n', 1, "format 9"),
        (b"", None, "holds no rows"),
        (b'{"vllm_sim_trace": 1}\n', None, "holds no rows"),
    ],
)
def test_an_error_names_the_file_the_line_and_the_cause(tmp_path, content, line, cause):
    path = tmp_path / "bad.jsonl"
    path.write_bytes(content)
    with pytest.raises(errors.TraceError) as caught:
        read.check_trace(path)
    assert caught.value.line == line
    message = str(caught.value)
    assert str(path) in message and cause in message and "\n" not in message


def test_errors_of_the_file_itself(tmp_path):
    whole = gzip.compress(b'{"prompt": "a", "response": "b"}\n' * 100)
    (tmp_path / "cut.jsonl.gz").write_bytes(whole[:-20])
    (tmp_path / "not.jsonl.gz").write_bytes(b"plain text")
    for name, cause in [("cut.jsonl.gz", "ends early"), ("not.jsonl.gz", "not valid gzip"),
                        ("none.jsonl", "no such file"), (".", "is a folder")]:  # fmt: skip
        with pytest.raises(errors.TraceError, match=cause):
            read.check_trace(tmp_path / name)


def test_gzip_reads_like_plain(tmp_path):
    path = tmp_path / "x.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"prompt": "a", "response": "b"}\n' * 3))
    assert read.check_trace(path) == (3, None)


def test_unknown_fields_are_kept_and_warned_about_once(tmp_path, caplog):
    path = tmp_path / "x.jsonl"
    path.write_text('{"prompt": "a", "response": "b", "colour": 1}\n' * 2)
    with read.TraceFile(path) as file:
        rows = [placed.row for placed in file]
    assert [row.extra for row in rows] == [{"colour": 1}] * 2
    assert len([record for record in caplog.records if "colour" in record.message]) == 1


def test_made_up_words_depend_on_prompt_and_seed_alone():
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "import test_simulator_unit_standalone as t\n"
        "print(t.synthetic.synthetic_text([1, 2, 3], 7))"
    )
    here = synthetic.synthetic_text([1, 2, 3], 7)
    other_process = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert other_process.stdout.strip() == here
    assert here != synthetic.synthetic_text([1, 2, 3], 8)
    assert here != synthetic.synthetic_text([1, 2, 4], 7)


def test_nothing_of_vllm_or_torch_is_imported():
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "import test_simulator_unit_standalone\n"
        "loaded = {name.partition('.')[0] for name in sys.modules}\n"
        "assert not loaded & {'vllm', 'torch', 'transformers'}, loaded"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


if __name__ == "__main__":
    sys.exit(pytest.main([__file__, "-q"]))
