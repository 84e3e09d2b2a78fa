"""``vllm sim trace generate``: requests from conversations, or out of nothing."""

from __future__ import annotations

import argparse
import math
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from tqdm import tqdm

from ..errors import SettingsError
from ..trace.formats import ReadOptions
from ..trace.schema import TraceRow
from ..trace.tokens import RowTokenizer
from ..workload.arrivals import Arrivals
from ..workload.conversations import ConversationOptions, open_conversations, sessions
from ..workload.distribution import SPELLINGS, Distribution
from ..workload.generate import GenerateReport, write_trace
from ..workload.limits import Limits
from ..workload.schedule import Schedule
from ..workload.synthetic import KINDS, SyntheticOptions
from .trace_options import positive_int, tokens_line

TEXT_MODES = ("single-turn", "multi-turn")


def add_parser(verbs: Any) -> tuple[argparse.ArgumentParser, Callable[[argparse.Namespace], int]]:
    parser = verbs.add_parser(
        "generate", help="requests from conversations, or out of nothing", description=__doc__
    )
    parser.add_argument(
        "--mode", choices=(*TEXT_MODES, *KINDS), default="single-turn",
        help="single-turn: the first exchange of each conversation; multi-turn: one request a "
        "turn; the others have lengths and no text (default: single-turn)",
    )  # fmt: skip
    parser.add_argument(
        "--out", required=True, type=Path, metavar="DIR",
        help="the folder for MODE_trace.jsonl; made if missing",
    )  # fmt: skip
    parser.add_argument("--gz", action="store_true", help="write MODE_trace.jsonl.gz")
    parser.add_argument("--seed", type=int, default=0, help="for everything random (default: 0)")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    _add_conversations(parser.add_argument_group("from conversations"))
    _add_times(parser.add_argument_group("times"))
    _add_synthetic(parser.add_argument_group("without text"))
    parser.set_defaults(given=partial(_given, parser))
    return parser, run


def _add_conversations(group: Any) -> None:
    group.add_argument(
        "--from", dest="source", type=Path, metavar="FILE",
        help="ShareGPT or OpenAI messages: JSON, JSON Lines, either as .gz",
    )  # fmt: skip
    group.add_argument(
        "--max-conversations", type=positive_int, metavar="N", help="use N, then stop"
    )
    group.add_argument("--min-turns", type=positive_int, default=1, metavar="N")
    group.add_argument("--max-turns", type=positive_int, metavar="N")
    group.add_argument(
        "--render", choices=("messages", "template", "plain"),
        help="prompts as messages (rendered by the server), by the chat template of --tokenizer, "
        "or as plain text (default: plain for single-turn, messages for multi-turn)",
    )  # fmt: skip
    group.add_argument(
        "--tokenizer", "--model", dest="tokenizer", type=Path, metavar="DIR",
        help="a model folder: counts tokens, and has the chat template",
    )  # fmt: skip
    for what in ("input", "output"):
        group.add_argument(f"--min-{what}-tokens", type=positive_int, metavar="N")
        group.add_argument(f"--max-{what}-tokens", type=positive_int, metavar="N")
    group.add_argument(
        "--renumber", action="store_true", help="number conversations instead of using their ids"
    )


def _add_times(group: Any) -> None:
    group.add_argument(
        "--arrival-rate", type=_above_zero, metavar="R",
        help="sessions (or requests) a second; without it rows have no timestamps",
    )  # fmt: skip
    group.add_argument(
        "--arrival", choices=("poisson", "gamma", "constant", "burst"), default="poisson",
        help="the arrival process (default: poisson)",
    )  # fmt: skip
    group.add_argument(
        "--burstiness", type=_above_zero, default=1.0, metavar="B",
        help="of --arrival gamma: 1 is Poisson, less is more bursty (default: 1)",
    )  # fmt: skip
    group.add_argument(
        "--burst-size", type=positive_int, metavar="N",
        help="of --arrival burst: N come at once (default: all)",
    )  # fmt: skip
    group.add_argument(
        "--think-time", type=_distribution, metavar="D",
        help=f"seconds between the turns of a session: {SPELLINGS}",
    )  # fmt: skip
    group.add_argument(
        "--turn-times", choices=("closed", "timestamps"), default="closed",
        help="closed: a turn starts a think time after the answer before it ended; timestamps: "
        "a think time after the turn before began, fixed beforehand (default: closed)",
    )  # fmt: skip


def _add_synthetic(group: Any) -> None:
    group.add_argument(
        "--requests", type=positive_int, default=1000, metavar="N",
        help="requests, or sessions of agentic (default: 1000)",
    )  # fmt: skip
    group.add_argument(
        "--input-tokens", type=_distribution, default=Distribution.parse("512"), metavar="D",
        help=f"of a request or turn, a shared prefix not counted (default: 512): {SPELLINGS}",
    )  # fmt: skip
    group.add_argument(
        "--output-tokens", type=_distribution, default=Distribution.parse("128"), metavar="D",
        help="of an answer (default: 128)",
    )  # fmt: skip
    group.add_argument(
        "--prefix-tokens", type=positive_int, default=1024, metavar="N",
        help="of a system prompt, or of each node of a prefix tree (default: 1024)",
    )  # fmt: skip
    group.add_argument("--groups", type=positive_int, default=1, metavar="N",
                       help="system prompts, or trees (default: 1)")  # fmt: skip
    group.add_argument("--depth", type=positive_int, default=3, metavar="N",
                       help="nodes from root to leaf (default: 3)")  # fmt: skip
    group.add_argument("--fan-out", type=positive_int, default=4, metavar="N",
                       help="children of a node (default: 4)")  # fmt: skip
    group.add_argument(
        "--turns", type=_distribution, default=Distribution.parse("8"), metavar="D",
        help="of an agentic session (default: 8)",
    )  # fmt: skip
    group.add_argument(
        "--block-size", type=positive_int, default=16, metavar="N",
        help="tokens a hash id stands for (default: 16)",
    )  # fmt: skip


def run(args: argparse.Namespace) -> int:
    try:
        args.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"--out {args.out}: {error.strerror or error}") from None
    name = f"{args.mode.replace('-', '_')}_trace.jsonl{'.gz' if args.gz else ''}"
    dropped: Counter[str] = Counter()
    schedule = Schedule(
        arrivals=_arrivals(args),
        think_time=args.think_time,
        turns=args.turn_times,
        seed=args.seed,
    )
    write = _from_conversations if args.mode in TEXT_MODES else _synthetic
    report = write(args, schedule, args.out / name, dropped)
    if args.json:
        sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(report)) + b"\n")
    else:
        print(as_text(report))
    return 0


def _arrivals(args: argparse.Namespace) -> Arrivals | None:
    if args.arrival_rate is None:
        if args.turn_times == "timestamps" or args.arrival != "poisson":
            raise SettingsError("--arrival and --turn-times timestamps need --arrival-rate R")
        return None
    return Arrivals(args.arrival_rate, args.arrival, args.burstiness, args.burst_size)


def _from_conversations(
    args: argparse.Namespace, schedule: Schedule, path: Path, dropped: Counter[str]
) -> GenerateReport:
    if args.source is None:
        raise SettingsError(f"--mode {args.mode} needs conversations: --from FILE")
    multi_turn = args.mode == "multi-turn"
    options = ConversationOptions(
        multi_turn=multi_turn,
        render=args.render or ("messages" if multi_turn else "plain"),
        max_conversations=args.max_conversations,
        limits=Limits(
            min_turns=args.min_turns,
            max_turns=args.max_turns,
            min_input_tokens=args.min_input_tokens or 1,
            max_input_tokens=args.max_input_tokens,
            min_output_tokens=args.min_output_tokens or 0,
            max_output_tokens=args.max_output_tokens,
        ),
        tokenizer=RowTokenizer(args.tokenizer) if args.tokenizer else None,
    )
    if options.tokenizer is None and (
        options.limits.need_tokenizer or options.render == "template"
    ):
        raise SettingsError("token limits and --render template need --tokenizer DIR")
    reader = open_conversations(args.source, "auto", ReadOptions(renumber=args.renumber))
    with closing(reader):
        made = sessions(reader, options, dropped)
        return write_trace(_shown(made), schedule, path, args.mode, _provenance(args), dropped)


def _synthetic(
    args: argparse.Namespace, schedule: Schedule, path: Path, dropped: Counter[str]
) -> GenerateReport:
    if args.source is not None:
        raise SettingsError(f"--mode {args.mode} takes no conversations; leave --from out")
    made = KINDS[args.mode](
        SyntheticOptions(
            requests=args.requests,
            input_tokens=args.input_tokens,
            output_tokens=args.output_tokens,
            seed=args.seed,
            block_size=args.block_size,
            prefix_tokens=args.prefix_tokens,
            groups=args.groups,
            depth=args.depth,
            fan_out=args.fan_out,
            turns=args.turns,
        )
    )
    return write_trace(_shown(made), schedule, path, args.mode, _provenance(args), dropped)


def _shown(made: Iterable[list[TraceRow]]) -> Iterable[list[TraceRow]]:
    return tqdm(made, desc="generate", unit=" sessions", disable=None, leave=False)


def _provenance(args: argparse.Namespace) -> dict[str, Any]:
    """The mode, the seed, and the options that are not at their defaults."""
    said: dict[str, Any] = {"generated_by": "vllm sim trace generate"}
    for name, value in sorted(args.given(args).items()):
        # Of a path only the name: where it lay on this machine is nobody's business.
        said[name] = value.name if isinstance(value, Path) else value
        if isinstance(value, Distribution):
            said[name] = str(value)
    return said


def _given(parser: argparse.ArgumentParser, args: argparse.Namespace) -> dict[str, Any]:
    kept = {"mode": args.mode, "seed": args.seed}
    for name, value in vars(args).items():
        if name not in _NOT_PROVENANCE and value != parser.get_default(name):
            kept[name] = value
    return kept


_NOT_PROVENANCE = {"out", "json", "gz", "func", "given", "trace_verb", "verb"}


def as_text(report: GenerateReport) -> str:
    lines = [f"{report.path}: {report.mode}",
             f"requests       {report.rows:,}"]  # fmt: skip
    if report.mode in ("multi-turn", "agentic"):
        lines[-1] += f" in {report.sessions:,} sessions"
    if report.last_s is not None and report.first_s is not None:
        lines.append(f"arrivals       {report.first_s:.3f} s to {report.last_s:.3f} s")
    else:
        lines.append("arrivals       none (give --arrival-rate R)")
    for label, column in (
        ("input tokens", report.input_tokens),
        ("output tokens", report.output_tokens),
    ):
        lines.append(tokens_line(label, column))
    lines += [f"not used       {n:,} {what}" for what, n in sorted(report.dropped.items())]
    return "\n".join(lines)


def _distribution(text: str) -> Distribution:
    try:
        return Distribution.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _above_zero(text: str) -> float:
    number = float(text)
    if not number > 0 or math.isnan(number):
        raise argparse.ArgumentTypeError(f"must be above 0, is {text}")
    return number
