"""The pictures of the prefix laboratory, as PNG."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import RecordingError
from .prefix_table import Facts, gib

_DPI = 110
_COLOURS = ("#2563b8", "#c2570c", "#15806a", "#8a3fb0", "#b3273f", "#6b6f1d")


def draw_pictures(folder: Path, runs: Sequence[Facts]) -> list[Path]:
    """Draw all runs into the same pictures.

    Args:
        folder: Where; it is there.
        runs: As ``prefix.json`` has them.

    Returns:
        What was written.

    Raises:
        RecordingError: It cannot be.
    """
    pictures: dict[str, Sequence[Callable[[Any, Sequence[Facts]], None]]] = {
        "cache-size.png": (_curve,),
        "sharing.png": (_sharing, _hits, _gaps),
        "over-time.png": (_hit_rate, _cached, _used),
    }
    return [_save(folder / name, panels, runs) for name, panels in pictures.items()]


def _save(path: Path, panels: Sequence[Callable[..., None]], runs: Sequence[Facts]) -> Path:
    from matplotlib.figure import Figure  # no pyplot: it would look for a display

    count = len(panels)
    figure = Figure(figsize=(8, 4.6) if count == 1 else (4.6 * count, 4.2), layout="constrained")
    for panel, axes in zip(panels, np.atleast_1d(figure.subplots(1, count)), strict=True):
        panel(axes, runs)
        axes.grid(alpha=0.25)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    if len(runs) > 1:
        figure.legend(handles, labels, loc="outside upper center", ncols=4, frameon=False)
    try:
        figure.savefig(path, dpi=_DPI)
    except OSError as error:
        raise RecordingError(f"{path} cannot be written: {error.strerror}") from None
    return path


def _curve(axes: Any, runs: Sequence[Facts]) -> None:
    for at, run in enumerate(runs):
        curve, colour = run["cache_curve"], _COLOURS[at % len(_COLOURS)]
        if curve is None:
            axes.plot([], [], color=colour, label=run["name"])
            continue
        blocks, rates = zip(*curve["points"], strict=True)
        axes.plot(blocks, 100 * np.array(rates), color=colour, label=run["name"])
        needed = curve["blocks_for_share_of_possible_hits"]["0.9"]
        axes.plot(
            [needed["blocks"]] * 2, [0, 100 * needed["hit_rate"]], color=colour, ls="--", lw=1
        )
        size = "" if needed["gib"] is None else f", {gib(needed['gib'])}"
        axes.annotate(
            f"90 % of the hits:\n{needed['blocks']:,} blocks{size}",
            (needed["blocks"], 100 * needed["hit_rate"]),
            xytext=(8, -30), textcoords="offset points", fontsize=8, color=colour,
        )  # fmt: skip
        measured = min(run["num_gpu_blocks"] - 1, blocks[-1])
        axes.plot([measured], [100 * run["prefix_cache_hit_rate"]], "o", mfc="none", color=colour)
    axes.set(title="hit rate against cache size", xlabel="KV blocks", ylabel="% of prompt tokens")
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)


def _sharing(axes: Any, runs: Sequence[Facts]) -> None:
    for at, run in enumerate(runs):
        histogram = run["sharing_fraction"]["histogram"]
        shares = 100 * np.array(histogram["counts"]) / max(run["sharing_fraction"]["count"], 1)
        _stairs(axes, shares, 100 * np.array(histogram["edges"]), at, run)
    axes.set(
        title="sharing per request", xlabel="% of the prompt shared", ylabel="% of the requests"
    )


def _hits(axes: Any, runs: Sequence[Facts]) -> None:
    for at, run in enumerate(runs):
        counts = run["block_hit_count"]["blocks_with_hits"]
        lows = [int(name.partition("-")[0]) for name in counts]
        edges = [0, *(max(low, 1) for low in lows[1:]), max(2 * lows[-1], 1)]
        _stairs(axes, np.array(list(counts.values())), np.array(edges), at, run)
    axes.set(title="hits per block", xlabel="hits", ylabel="blocks")
    axes.set_xscale("symlog", linthresh=1)
    axes.set_yscale("symlog", linthresh=1)


def _gaps(axes: Any, runs: Sequence[Facts]) -> None:
    for at, run in enumerate(runs):
        histogram = run["reuse_gap_s"]["histogram"]
        share = np.cumsum(histogram["counts"]) / max(run["reuse_gap_s"]["count"], 1)
        colour = _COLOURS[at % len(_COLOURS)]
        axes.plot(histogram["edges"][1:], 100 * share, color=colour, label=run["name"])
    axes.set(title="reuse gaps", xlabel="seconds, at most", ylabel="% of the hits")
    axes.set_xscale("log")
    axes.set_ylim(0, 101)


def _hit_rate(axes: Any, runs: Sequence[Facts]) -> None:
    _over_time(axes, runs, "cumulative_hit_rate", 100)
    axes.set(title="hit rate until then", xlabel="seconds", ylabel="% of prompt tokens")


def _cached(axes: Any, runs: Sequence[Facts]) -> None:
    _over_time(axes, runs, "cached_blocks", 1)
    axes.set(title="contents in the cache", xlabel="seconds", ylabel="KV blocks")


def _used(axes: Any, runs: Sequence[Facts]) -> None:
    _over_time(axes, runs, "used_blocks", 1)
    axes.set(title="held by requests", xlabel="seconds", ylabel="KV blocks")


def _over_time(axes: Any, runs: Sequence[Facts], key: str, factor: float) -> None:
    for at, run in enumerate(runs):
        over = run["over_time"]
        values = factor * np.array(over[key])
        # Runs without caching often lie upon those with it: dots let both be seen.
        style = "-" if run["prefix_caching"] else ":"
        colour = _COLOURS[at % len(_COLOURS)]
        axes.plot(over["time_s"], values, style, color=colour, label=run["name"])
    axes.set_ylim(bottom=0)


def _stairs(axes: Any, counts: Any, edges: Any, at: int, run: Facts) -> None:
    colour = _COLOURS[at % len(_COLOURS)]
    axes.stairs(counts, edges, color=colour, fill=True, alpha=0.18)
    axes.stairs(counts, edges, color=colour, label=run["name"])
