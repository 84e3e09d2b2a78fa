"""PREFIX SHARING METRICS for the terminal: one column a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

_LABEL, _COLUMN, _GAP = 26, 16, 2

Facts = Mapping[str, Any]
_Row = tuple[str, Callable[[Facts], str]]


def _of(key: str, form: Callable[[float], str], part: str | None = None) -> Callable[[Facts], str]:
    def read(facts: Facts) -> str:
        value = facts[key] if part is None else facts[key][part]
        return "-" if value is None else form(value)

    return read


def _count(value: float) -> str:
    return f"{value:,}"


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"


def _number(value: float) -> str:
    return f"{value:,.2f}"


def _spread(title: str, key: str, form: Callable[[float], str]) -> list[_Row]:
    parts = (("mean", "Mean"), ("median", "Median"), ("min", "Min"), ("max", "Max"), ("p95", "P95"))
    rows: list[_Row] = [(title, lambda _: "")]
    return rows + [(f"  {label}", _of(key, form, part)) for part, label in parts]


TABLE_ROWS: list[_Row] = [
    ("Total Requests", _of("total_requests", _count)),
    ("Prompt Tokens", _of("prompt_tokens", _count)),
    ("Shared Prompt Tokens", _of("shared_tokens", _count)),
    ("Prefix Cache Hit Rate", _of("prefix_cache_hit_rate", _percent)),
    ("Prefill Time Saved (s)", _of("prefill_seconds_saved", _number)),
    ("Total Blocks Allocated", _of("blocks_allocated", _count)),
    ("Total Blocks Reused", _of("blocks_reused", _count)),
    ("Unique Blocks", _of("unique_blocks", _count)),
    ("Blocks Evicted", _of("blocks_evicted", _count)),
    ("  Needed Again", _of("evictions_needed_again", _count)),
    ("Block Reuse Rate", _of("block_reuse_rate", _percent)),
    *_spread("Sharing Fraction", "sharing_fraction", _percent),
    *_spread("Block Hit Counts", "block_hit_count", _number),
    *_spread("Reuse Gaps (s)", "reuse_gap_s", _number),
]


def prefix_table(runs: Sequence[Facts]) -> str:
    """The table.

    Args:
        runs: As ``prefix.json`` has them, with their names.
    """
    columns = [[run["name"], *(read(run) for _, read in TABLE_ROWS)] for run in runs]
    widths = [max(_COLUMN, *map(len, column)) for column in columns]
    total = _LABEL + sum(width + _GAP for width in widths)
    lines = ["=" * total, "PREFIX SHARING METRICS".center(total).rstrip(), "=" * total]
    for at, label in enumerate(["", *(label for label, _ in TABLE_ROWS)]):
        cells = "".join(
            f"{'':{_GAP}}{column[at]:>{width}}"
            for column, width in zip(columns, widths, strict=True)
        )
        lines.append(f"{label:<{_LABEL}}{cells}".rstrip())
    return "\n".join([*lines, "=" * total])


def gib(size: float) -> str:
    """A size with three digits, or more where it is large."""
    return f"{size:,.0f} GiB" if size >= 100 else f"{size:.3g} GiB"


def sizing_line(facts: Facts) -> str:
    """The answer to "how large a cache?", or why there is none."""
    curve = facts["cache_curve"]
    if curve is None:
        return f"{facts['name']}: prefix caching is off, so there is no cache to size"
    needed = curve["blocks_for_share_of_possible_hits"]["0.9"]
    size = "" if needed["gib"] is None else f", that is {gib(needed['gib'])} on this model"
    return (
        f"{facts['name']}: for 90 % of the possible hits ({100 * needed['hit_rate']:.1f} of "
        f"{100 * curve['possible_hit_rate']:.1f} % of the prompt tokens) you need "
        f"{needed['blocks']:,} blocks of {facts['block_size']} tokens{size}"
    )
