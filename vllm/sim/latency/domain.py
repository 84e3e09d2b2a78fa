"""The steps that a fitted model has seen: per kind of step, the range of each number."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, get_args

import msgspec

from ..records import Composition

Kind = Literal["prefill", "decode", "mixed"]
KINDS: tuple[Kind, ...] = get_args(Kind)
FEATURES: tuple[str, ...] = Composition.__struct_fields__

Range = tuple[int, int]


def kind_of(batch: Composition) -> Kind:
    if not batch.prefills:
        return "decode"
    return "mixed" if batch.decodes else "prefill"


class Domain:
    """Whether a step lies inside what was seen.

    Kinds are apart: a model that saw pure prefills and pure decodes knows nothing of
    steps that mix them. Within a kind each of the composition's numbers must lie in
    its range, ends included.
    """

    def __init__(self, ranges: Mapping[Kind, Mapping[str, Range]]) -> None:
        self.ranges = ranges
        self._bounds = {
            kind: tuple(of_kind[feature] for feature in FEATURES)
            for kind, of_kind in ranges.items()
        }

    def __contains__(self, batch: Composition) -> bool:
        bounds = self._bounds.get(kind_of(batch))
        if bounds is None:
            return False
        prefills, tokens, cached, pairs, decodes, kv = bounds
        return (
            prefills[0] <= batch.prefills <= prefills[1]
            and tokens[0] <= batch.prefill_tokens <= tokens[1]
            and cached[0] <= batch.prefill_cached_tokens <= cached[1]
            and pairs[0] <= batch.prefill_pairs <= pairs[1]
            and decodes[0] <= batch.decodes <= decodes[1]
            and kv[0] <= batch.decode_kv_tokens <= kv[1]
        )

    @classmethod
    def of(cls, batches: Iterable[Composition]) -> Domain:
        """The smallest domain that holds all of them."""
        ranges: dict[Kind, dict[str, Range]] = {}
        for batch in batches:
            of_kind = ranges.setdefault(kind_of(batch), {})
            for feature, value in zip(FEATURES, msgspec.structs.astuple(batch), strict=True):
                low, high = of_kind.get(feature, (value, value))
                of_kind[feature] = (min(low, value), max(high, value))
        return cls({kind: ranges[kind] for kind in KINDS if kind in ranges})
