"""Results of ``vllm bench serve --save-result --save-detailed``: what each request did.

Read only: a result describes a run (its duration, its throughput), which a trace
cannot stand for. The file is one object, and is read whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from ..read import PlacedRow
from ..schema import TraceHeader
from .base import FileReader, Format, ReadOptions, Sample

_NEEDED = ("input_lens", "output_lens", "ttfts", "itls")
_OPTIONAL = ("start_times", "generated_texts", "errors")


class VllmBenchReader(FileReader):
    """Requests in the order of the result. ``line`` counts them."""

    def __init__(self, path: Path, options: ReadOptions) -> None:
        super().__init__(path, options)
        try:
            self._whole = self._decode()
        finally:
            self.close()  # all of it is in memory now

    def _decode(self) -> dict[str, Any]:
        try:
            whole = msgspec.json.decode(self._file.read())
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            self._fail(f"not valid JSON: {error}; is the file cut off?")
        if not isinstance(whole, dict):
            self._fail("a benchmark result is a JSON object")
        if missing := [name for name in _NEEDED if name not in whole]:
            self._fail(
                f"no {' and no '.join(missing)}: the detail of each request is missing; run "
                "`vllm bench serve` with --save-result --save-detailed"
            )
        requests = len(whole["input_lens"])
        if not requests:
            self._fail("holds no requests")
        for name in (*_NEEDED, *_OPTIONAL):
            if len(whole.get(name) or whole["input_lens"]) != requests:
                self._fail(f"{name} has {len(whole[name])} entries, input_lens has {requests}")
        return whole

    def __iter__(self) -> Iterator[PlacedRow]:
        return self._rows()

    def _rows(self) -> Iterator[PlacedRow]:
        whole = self._whole
        self.header = TraceHeader(
            vllm_sim_trace=1,
            model=whole.get("model_id"),
            provenance={"format": "vllm-bench", "date": whole.get("date")},
        )
        starts, texts, errors = (whole.get(name) or [] for name in _OPTIONAL)
        if not starts:
            self.notes["requests without a start time: no timestamps"] += len(whole["input_lens"])
        first = min(starts, default=0.0)
        for at, (given, answered) in enumerate(
            zip(whole["input_lens"], whole["output_lens"], strict=True)
        ):
            failed = bool(errors and errors[at])
            if failed:
                self.notes["failed requests, kept with finish_reason error"] += 1
            itls = whole["itls"][at]
            row = self._row(
                at + 1,
                input_length=given,
                output_length=answered,
                response=texts[at] if texts and texts[at] else None,
                timestamp=starts[at] - first if starts else None,
                ttft=None if failed else whole["ttfts"][at],
                itl=None if failed or not itls else itls,
                finish_reason="error" if failed else None,
            )
            yield PlacedRow(at + 1, 0, row)


def _sniff(sample: Sample) -> bool:
    head = sample.text[:8192]
    return head.lstrip().startswith("{") and '"endpoint_type"' in head and '"backend"' in head


FORMAT = Format(
    name="vllm-bench",
    title="vllm bench serve result",
    sniff=_sniff,
    reader=VllmBenchReader,
    writer=None,
    says=frozenset(),
)
