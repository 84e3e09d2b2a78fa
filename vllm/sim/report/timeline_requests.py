"""The requests of a run in the terminal: a line for each, a column for a step or several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .timeline_colours import SIGNS, STATES
from .timeline_lives import Life, State

if TYPE_CHECKING:
    from rich.text import Text

# In a column of several steps, the rarest of a request's states is what one looks for.
_PRIORITY: tuple[State, ...] = ("decode", "waiting", "stalled", "prefill", "preempted")


def request_lines(lives: Sequence[Life], first: int, last: int, width: int) -> list[Text]:
    """The chart.

    Args:
        lives: In the order of the lines.
        first: First step to show.
        last: Last step to show.
        width: Of the terminal, in columns.
    """
    from rich.text import Text

    label = max((len(life.id) for life in lives), default=0) + 2
    columns = max(width - label, 10)
    a_column = -(-(last - first + 1) // columns)  # steps
    columns = -(-(last - first + 1) // a_column)
    legend = Text(" " * label)
    for state, sign in SIGNS.items():
        legend.append(f"{sign} {state}  ", style=STATES[state])
    legend.append("one column a step" if a_column == 1 else f"one column for {a_column} steps")
    return [
        legend,
        _scale(label, first, a_column, columns),
        *(_line(life, label, first, a_column, columns) for life in lives),
    ]


def _scale(label: int, first: int, a_column: int, columns: int) -> Text:
    from rich.text import Text

    marks = [" "] * columns
    for column in range(0, columns, 10):
        for place, digit in enumerate(str(first + column * a_column)):
            if column + place < columns:
                marks[column + place] = digit
    return Text(" " * label + "".join(marks), style="dim")


def _line(life: Life, label: int, first: int, a_column: int, columns: int) -> Text:
    from rich.text import Text

    states: list[State | None] = [None] * columns
    for span in life.spans:
        low = max((span.first_step - first) // a_column, 0)
        high = min((span.last_step - first) // a_column, columns - 1)
        for column in range(low, high + 1):
            if span.last_step >= first:
                states[column] = _rarer(states[column], span.state)
    text = Text(f"{life.id:<{label}}")
    for state in states:
        text.append(" " if state is None else SIGNS[state], style=STATES.get(state or "", ""))
    return text


def _rarer(one: State | None, other: State) -> State:
    return other if one is None else max(one, other, key=_PRIORITY.index)
