"""A headless Chromium, driven over its debugging protocol on loopback."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import time
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest

_STARTS_S = 30.0
_COMMANDS = ("chromium", "chromium-browser", "google-chrome")


def chromium_or_skip() -> str:
    for command in _COMMANDS:
        if found := shutil.which(command):
            return found
    pytest.skip("needs a browser: apt-get install chromium")


class Chromium:
    """``with Chromium(folder) as browser: browser.open(path, …)``."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._open = folder, ExitStack()

    def __enter__(self) -> Chromium:
        from websockets.sync.client import connect

        self._process = subprocess.Popen(
            [
                chromium_or_skip(), "--headless", "--no-sandbox", "--disable-gpu",
                "--disable-background-networking", "--disable-component-update", "--no-first-run",
                "--disable-dev-shm-usage", "--remote-debugging-port=0",
                f"--user-data-dir={self._folder}", "about:blank",
            ],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self._socket = self._open.enter_context(connect(self._page_url(), max_size=None))
        self._number, self.events = 0, list[dict[str, Any]]()
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._open.close()
        self._process.terminate()
        self._process.wait(20)

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """One command; events that come meanwhile are kept."""
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": params}))
        while True:
            message = json.loads(self._socket.recv(timeout=30))
            if message.get("id") == self._number:
                assert "error" not in message, message
                return message["result"]
            self.events.append(message)

    def open(self, path: Path, width: int, height: int, dark: bool, touch: bool = False) -> None:
        """Load a file and wait until it has been drawn."""
        self.events.clear()
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=2 if touch else 1, mobile=touch,
        )  # fmt: skip
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.call("Page.navigate", url=path.as_uri())
        deadline = time.monotonic() + 20
        while self.run("document.readyState") != "complete":
            assert time.monotonic() < deadline, "the page does not load"
        self.frame()

    def run(self, code: str) -> Any:
        """The value of an expression on the page."""
        result = self.call(
            "Runtime.evaluate", expression=code, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def frame(self) -> None:
        """Wait until what was asked for has been drawn."""
        self.run("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def mouse(self, kind: str, x: float, y: float, pressed: bool = False) -> None:
        self.call(
            "Input.dispatchMouseEvent", type=kind, x=x, y=y, clickCount=1,
            button="left" if pressed or kind != "mouseMoved" else "none", buttons=int(pressed),
        )  # fmt: skip

    def picture(self, path: Path) -> None:
        data = self.call("Page.captureScreenshot", captureBeyondViewport=True)["data"]
        path.write_bytes(base64.b64decode(data))

    def complaints(self) -> list[str]:
        """Exceptions, console messages, log entries and requests for anything but the page."""
        self.run("1")  # collects what is on its way
        found = []
        for event in self.events:
            method, params = event["method"], event.get("params", {})
            if method in ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded"):
                found.append(json.dumps(params))
            elif method == "Network.requestWillBeSent":
                url = params["request"]["url"]
                if not url.startswith(("file://", "data:", "about:")):
                    found.append(f"asked for {url}")
        return found

    def _page_url(self) -> str:
        deadline = time.monotonic() + _STARTS_S
        port_file = self._folder / "DevToolsActivePort"
        while time.monotonic() < deadline:
            if port_file.exists() and (lines := port_file.read_text().split()):
                with urllib.request.urlopen(f"http://127.0.0.1:{lines[0]}/json/list") as answer:
                    for target in json.load(answer):
                        if target["type"] == "page":
                            return target["webSocketDebuggerUrl"]
            time.sleep(0.05)
        raise TimeoutError("chromium does not start")
