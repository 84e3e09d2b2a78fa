"""``report.html``: runs of the prefix laboratory side by side, in one file that needs no net."""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from pathlib import Path

from ..errors import RecordingError
from .prefix_table import TABLE_ROWS, Facts, sizing_line

PAGE = "report.html"
_HERE = Path(__file__).parent


def write_report(folder: Path, runs: Sequence[Facts]) -> Path:
    """Write the page.

    Args:
        folder: Where; it is there.
        runs: As ``prefix.json`` has them.

    Returns:
        The page's path.

    Raises:
        RecordingError: It cannot be written.
    """
    path = folder / PAGE
    try:
        path.write_text(_page(runs), encoding="utf-8")
    except OSError as error:
        raise RecordingError(f"{path} cannot be written: {error.strerror}") from None
    return path


def _page(runs: Sequence[Facts]) -> str:
    # "</" inside a script would end it, whatever it stands in.
    data = json.dumps(list(runs), ensure_ascii=False).replace("</", "<\\/")
    parts = {
        "title": html.escape(", ".join(run["name"] for run in runs)),
        "css": _read("prefix.css"),
        "js": _read("prefix.js"),
        "conditions": "".join(f"<li>{html.escape(_conditions(run))}</li>" for run in runs),
        "answers": "".join(f"<li>{html.escape(sizing_line(run))}</li>" for run in runs),
        "table": _table(runs),
        "data": data,
    }
    page = _read("prefix.html")
    head, *pieces = page.split("{{")
    for piece in pieces:
        name, _, rest = piece.partition("}}")
        head += parts[name] + rest
    return head


def _conditions(run: Facts) -> str:
    cache = f"{run['num_gpu_blocks']:,} blocks of {run['block_size']} tokens"
    if run["infinite"]:
        cache += ", so that nothing is evicted"
    caching = "prefix caching on" if run["prefix_caching"] else "prefix caching off"
    answers = ", answers cut to one token" if run["prefill_only"] else ""
    return f"{run['name']}: {run['trace']}, {cache}, {caching}{answers}; {run['latency']}"


def _table(runs: Sequence[Facts]) -> str:
    head = "".join(f"<th>{html.escape(run['name'])}</th>" for run in runs)
    rows = []
    for label, read in TABLE_ROWS:
        cells = [read(run) for run in runs]
        kind = ' class="group"' if not any(cells) else ' class="sub"' if label[0] == " " else ""
        body = "".join(f"<td>{html.escape(cell)}</td>" for cell in cells)
        rows.append(f"<tr{kind}><th>{html.escape(label.strip())}</th>{body}</tr>")
    return f"<thead><tr><th></th>{head}</tr></thead><tbody>{''.join(rows)}</tbody>"


def _read(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")
