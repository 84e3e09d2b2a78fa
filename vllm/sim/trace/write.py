"""Files that are either whole or not there."""

from __future__ import annotations

import gzip
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from ..errors import TraceError


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Write a file that takes its place only when the block ends well.

    The bytes go to a temporary name in the same folder, so that the final rename is
    atomic. On any exception, an interrupt too, the temporary file is removed and what
    stood at ``path`` before still does. A name ending in ``.gz`` is packed; equal
    input gives equal bytes.

    Raises:
        TraceError: The folder is missing or cannot be written to.
    """
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    except FileNotFoundError:
        raise TraceError(path, f"the folder {path.parent} does not exist; create it") from None
    except OSError as error:
        raise TraceError(path, f"cannot be written: {error.strerror or error}") from None
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as plain:
            if path.suffix == ".gz":
                # No file name and no time in the header: they would differ from run to run.
                with gzip.GzipFile("", "wb", 6, plain, mtime=0) as packed:
                    yield cast(BinaryIO, packed)
            else:
                yield plain
        # mkstemp makes files for their owner only; a trace is as readable as any other file.
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except IsADirectoryError:
        raise TraceError(path, "is a folder; give the name of a file") from None
    finally:
        temporary.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
