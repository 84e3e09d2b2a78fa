"""A progress bar on stderr, and only where someone is looking."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from tqdm import tqdm

from .read import PlacedRow


def with_progress(rows: Iterable[PlacedRow], path: Path, what: str) -> Iterator[PlacedRow]:
    """Pass rows through, showing how much of the file has been read.

    Args:
        path: The file they come from. A ``.gz`` or a folder has no known total, so
            the bar counts without an end.
        what: A verb for the bar's label: ``check``.
    """
    total = path.stat().st_size if path.is_file() and path.suffix != ".gz" else None
    # disable=None is tqdm's word for "unless stderr is a terminal".
    with tqdm(total=total, desc=what, unit="B", unit_scale=True, disable=None, leave=False) as bar:
        for placed in rows:
            bar.update(placed.offset - bar.n)
            yield placed
