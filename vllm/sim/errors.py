"""Everything this package raises on purpose.

    SimError
    ├── SettingsError        a flag or an environment variable is wrong
    ├── TraceError           a trace file is wrong; names the file and the line
    ├── DeviceError          the simulated device is unknown or cannot hold the model
    ├── LatencyError         a step-time model cannot be built, or left its domain
    ├── UpstreamMovedError   vLLM no longer has what a hook or the engine relies on
    └── RecordingError       a folder of records is incomplete or of another version

A message says what is wrong, where, and what to do about it, in one line.
"""

from __future__ import annotations

from pathlib import Path


class SimError(Exception):
    """Base of every error that this package raises on purpose."""


class SettingsError(SimError):
    """A simulator setting is wrong. The message names the flag and the way out."""


class TraceError(SimError):
    """A trace cannot be used.

    Args:
        path: The trace file.
        cause: What is wrong, without the place.
        line: 1-based line number, or None when the file as a whole is wrong.
    """

    def __init__(self, path: str | Path, cause: str, line: int | None = None) -> None:
        self.path, self.cause, self.line = Path(path), cause, line
        where = f"{path}, line {line}" if line is not None else f"{path}"
        super().__init__(f"{where}: {cause}")

    def __reduce__(self) -> tuple[type[TraceError], tuple[Path, str, int | None]]:
        return type(self), (self.path, self.cause, self.line)


class DeviceError(SimError):
    """The simulated device is unknown, or the model does not fit on it."""


class LatencyError(SimError):
    """A step-time model cannot be built, or a step lies outside its domain."""


class UpstreamMovedError(SimError):
    """The installed vLLM lacks something that this package relies on."""


class RecordingError(SimError):
    """A folder of records cannot be read."""
