"""Every trace format that this package reads and writes."""

from __future__ import annotations

import contextlib
import gzip
import json
from pathlib import Path

from ...errors import TraceError
from . import (
    azure,
    bailian,
    burstgpt,
    kv_cache_tester,
    mooncake,
    openai,
    sharegpt,
    timed_trace,
    vllm_bench,
    vllm_sim,
)
from .base import Format, Reader, ReadOptions, Sample, WriteOptions, Writer

__all__ = [
    "FORMATS",
    "Format",
    "ReadOptions",
    "Reader",
    "Sample",
    "WriteOptions",
    "Writer",
    "detect",
    "open_rows",
]

FORMATS: dict[str, Format] = {
    module.FORMAT.name: module.FORMAT
    for module in (
        vllm_sim,
        sharegpt,
        openai,
        mooncake,
        azure,
        burstgpt,
        bailian,
        kv_cache_tester,
        timed_trace,
        vllm_bench,
    )
}

_SAMPLE_BYTES = 1 << 18


def open_rows(path: Path, name: str, options: ReadOptions) -> tuple[Format, Reader]:
    """Open a file of a named format, or of the format that it looks like.

    Args:
        path: The file, or for kv-cache-tester a folder of them.
        name: A key of ``FORMATS``, or ``auto``.

    Raises:
        TraceError: The file cannot be read, or its format cannot be told.
    """
    form = detect(path) if name == "auto" else FORMATS[name]
    return form, form.reader(path, options)


def detect(path: Path) -> Format:
    """Tell a file's format from its start.

    Raises:
        TraceError: No format fits, or several do.
    """
    sample = take_sample(path)
    fits = [form for form in FORMATS.values() if form.sniff(sample)]
    if len(fits) == 1:
        return fits[0]
    if not fits:
        raise TraceError(
            path,
            "the format cannot be told from the start of the file; say it with --from "
            + "|".join(FORMATS),
        )
    names = [form.name for form in fits]
    raise TraceError(path, f"may be {' or '.join(names)}; say which with --from")


def take_sample(path: Path) -> Sample:
    """The first 256 KiB of a file, unpacked."""
    if path.is_dir():
        inside = sorted(path.glob("*.json"))
        if not inside:
            raise TraceError(path, "is a folder without .json files")
        path = inside[0]
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            raw = file.read(_SAMPLE_BYTES)
    except FileNotFoundError:
        raise TraceError(path, "no such file") from None
    except EOFError:
        raise TraceError(path, "the gzip data ends early; the file was cut off") from None
    except OSError as error:
        raise TraceError(path, f"cannot be read: {error.strerror or error}") from None
    text = raw.decode("utf-8", errors="ignore").lstrip("\ufeff")
    if len(raw) == _SAMPLE_BYTES and (cut := text.rfind("\n")) > 0:
        text = text[: cut + 1]
    head = text.lstrip()
    first = None
    with contextlib.suppress(ValueError):
        first, _ = json.JSONDecoder().raw_decode(head[1:].lstrip() if head[:1] == "[" else head)
    return Sample(path.name, text, first if isinstance(first, dict) else None, head[:1] == "[")
