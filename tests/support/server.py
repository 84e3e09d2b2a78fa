"""A real ``vllm serve`` in a process of its own, on loopback, ended by its id."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from urllib.error import URLError

READY_TIMEOUT_S = 180.0
STOP_TIMEOUT_S = 30.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """``with Server(model, "--use-simulator", …) as server: server.client()``."""

    def __init__(self, model: Path, *options: str, log: Path, env: dict[str, str] | None = None):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.model = "sim"
        self._log_path = log
        self._command = [
            str(Path(sys.executable).with_name("vllm")), "serve", str(model),
            "--served-model-name", self.model, "--host", "127.0.0.1", "--port", str(self.port),
            *options,
        ]  # fmt: skip
        self._env = {**os.environ, "VLLM_NO_USAGE_STATS": "1", **(env or {})}

    def __enter__(self) -> Server:
        started = time.monotonic()
        with self._log_path.open("wb") as log:
            self._process = subprocess.Popen(
                self._command, stdout=log, stderr=subprocess.STDOUT, env=self._env,
                start_new_session=True,
            )  # fmt: skip
        try:
            self._wait_until_ready()
        except BaseException:
            self.stop()
            raise
        self.ready_after_s = time.monotonic() - started
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> int:
        """End the server and whatever it started; returns its exit code."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_TIMEOUT_S)
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        return self._process.wait(STOP_TIMEOUT_S)

    def log(self) -> str:
        return self._log_path.read_text(errors="replace")

    def get(self, path: str) -> str:
        with urllib.request.urlopen(self.url + path, timeout=30) as answer:
            return answer.read().decode()

    def metric(self, name: str) -> float:
        """The sum of a metric over its labels; 0 where it was never counted."""
        lines = [line for line in self.get("/metrics").splitlines() if line.startswith(name)]
        return sum(float(line.rpartition(" ")[2]) for line in lines)

    def client(self):  # type: ignore[no-untyped-def]
        """The official OpenAI client."""
        from openai import OpenAI

        return OpenAI(base_url=f"{self.url}/v1", api_key="none", max_retries=0, timeout=60)

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + READY_TIMEOUT_S
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise RuntimeError(f"the server ended at start:\n{self.log()[-4000:]}")
            try:
                self.get("/health")
                return
            except (URLError, ConnectionError, TimeoutError):
                time.sleep(0.2)
        raise TimeoutError(f"not ready after {READY_TIMEOUT_S} s:\n{self.log()[-4000:]}")
