"""The pages: self-contained, and right in a real browser."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from vllm.sim.cli.main import main
from vllm.sim.report.page_report import write_report

from .chromium import Chromium, chromium_or_skip
from .made_run import write_made_run

LAPTOP, PHONE = (1366, 768), (390, 844)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(write_made_run(tmp_path_factory.mktemp("made") / "run"))


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compared")
    runs = [write_made_run(folder / name, slower=n) for n, name in ((1, "fast"), (2, "slow"))]
    page = folder / "compare.html"
    assert main(["compare", *map(str, runs), "--html", str(page)]) == 0
    return page


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    chromium_or_skip()
    with Chromium(tmp_path_factory.mktemp("chromium")) as started:
        yield started


def data_of(page: Path) -> dict:
    found = re.search(r'id="data">(.*?)</script>', page.read_text("utf-8"), re.DOTALL)
    assert found
    return json.loads(found[1])


def test_a_page_is_one_file_that_asks_for_nothing(report: Path, comparison: Path) -> None:
    for page in (report, comparison):
        text = page.read_text("utf-8")
        assert "default-src 'none'" in text
        assert not re.search(r"""(?:src|href)\s*=\s*["'](?!data:)|@import|https?://""", text)
        assert "{{" not in text


def test_the_same_run_gives_the_same_page(report: Path, tmp_path: Path) -> None:
    again = write_report(report.parent, tmp_path / "again.html")
    assert again.read_bytes() == report.read_bytes()


def test_a_step_log_alone_gives_a_page(report: Path, tmp_path: Path) -> None:
    (tmp_path / "steps.jsonl").write_bytes((report.parent / "steps.jsonl").read_bytes())
    data = data_of(write_report(tmp_path))
    assert data["tiles"] == [] and len(data["requests"]["rows"]) == 8


def test_confidence_is_the_share_of_the_steps_and_of_their_time(report: Path) -> None:
    data = data_of(report)
    steps = len(data["steps"]["start"])
    assert data["confidence"][1][1] == f"{1 - (steps // 10) / steps:.2%} of {steps}"


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", [LAPTOP, PHONE], ids=["laptop", "phone"])
@pytest.mark.parametrize("which", ["report", "comparison"])
def test_in_a_browser(
    browser: Chromium,
    which: str,
    size: tuple[int, int],
    dark: bool,
    request: pytest.FixtureRequest,
    tmp_path: Path,
) -> None:
    page: Path = request.getfixturevalue(which)
    browser.open(page, *size, dark=dark, touch=size == PHONE)
    assert browser.complaints() == []
    assert browser.run("document.documentElement.scrollWidth") <= size[0]
    assert browser.run("document.querySelectorAll('b').length") == browser.run(
        "document.querySelectorAll('.tile').length"
    ), "a name has become markup"
    ground = browser.run("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", ground))) < 200) == dark
    # Every chart has something on it besides its ground.
    assert browser.run(
        "[...document.querySelectorAll('canvas')].every(c => {"
        " const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
        " const seen = new Set();"
        " for (let i = 0; i < d.length; i += 4) if (d[i + 3]) seen.add(d[i] * 65536 + d[i + 1]);"
        " return seen.size > 3; })"
    )
    browser.picture(tmp_path / "page.png")


def place(browser: Chromium, label: str) -> list[float]:
    """Left, top, width and height of a chart, scrolled into view."""
    found = f"document.querySelector('canvas[aria-label=\"{label}\"]')"
    browser.run(f"{found}.scrollIntoView({{block: 'center'}})")
    return browser.run(
        f"(() => {{ const b = {found}.getBoundingClientRect();"
        " return [b.left, b.top, b.width, b.height]; })()"
    )


def test_hover_says_what_is_there(browser: Chromium, report: Path) -> None:
    browser.open(report, *LAPTOP, dark=False)
    left, top, _, height = place(browser, "tokens in a step")
    browser.mouse("mouseMoved", left + 48, top + height / 2)
    browser.frame()
    assert browser.run("tip.textContent").startswith("step 0\n0.00 ms, 5.00 ms\n16 prefill tokens")
    left, top, *_ = place(browser, "requests")
    browser.mouse("mouseMoved", left + 48, top + 12)
    browser.frame()
    said = browser.run("tip.textContent")
    assert said.startswith("r0\n64 prompt tokens") and "prefill: 5.00 ms from 0.00 ms" in said
    assert browser.complaints() == []


def test_drag_zooms_all_charts_and_the_button_shows_all_again(
    browser: Chromium, report: Path
) -> None:
    browser.open(report, *LAPTOP, dark=False)
    whole = browser.run("[range.low, range.high]")
    left, top, _, height = place(browser, "queues")
    y = top + height / 2
    browser.mouse("mousePressed", left + 200, y, pressed=True)
    browser.mouse("mouseMoved", left + 400, y, pressed=True)
    browser.mouse("mouseReleased", left + 400, y)
    browser.frame()
    low, high = browser.run("[range.low, range.high]")
    assert whole[0] < low < high < whole[1]
    browser.run("document.querySelector('[aria-label=\"show the whole run\"]').click()")
    assert browser.run("[range.low, range.high]") == whole
    browser.run("document.querySelector('[aria-label=\"by step\"]').click()")
    assert browser.run("range.high") == len(data_of(report)["steps"]["start"])
    browser.frame()
    assert browser.complaints() == []


def test_a_run_whose_steps_take_no_time_is_drawn_by_step(browser: Chromium, tmp_path: Path) -> None:
    page = write_report(write_made_run(tmp_path / "timeless", slower=0))
    browser.open(page, *LAPTOP, dark=False)
    assert browser.run("byStep")
    assert browser.run("range.high") == len(data_of(page)["steps"]["start"])
    assert browser.complaints() == []
