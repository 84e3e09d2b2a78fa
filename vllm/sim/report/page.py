"""A page that needs nothing: no network, no other file. Style, code and data are inside it."""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import SettingsError

_HERE = Path(__file__).parent


def fill_page(title: str, scripts: Sequence[str], data: dict[str, Any]) -> str:
    """The page.

    Args:
        title: Of the page.
        scripts: Names of files in this folder, in the order in which they run.
        data: What they read, as JSON.
    """
    parts = {
        "title": html.escape(title),
        "style": _text("page.css"),
        "script": "\n".join(_text(name) for name in scripts),
        # No name of a model or a request may end the element early.
        "data": json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c"),
    }
    page = _text("page.html")
    pieces = page.split("{{")
    filled = [pieces[0]]
    for piece in pieces[1:]:
        name, _, rest = piece.partition("}}")
        filled += [parts[name], rest]
    return "".join(filled)


def write_page(path: Path, text: str, option: str) -> None:
    """Write it.

    Raises:
        SettingsError: It cannot be written there; the message names the option.
    """
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"{option} {path} cannot be written: {error.strerror}") from None


def _text(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8").strip()
