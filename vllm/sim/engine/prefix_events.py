"""A server's KV cache events, as they come over ZeroMQ, into a log.

The server publishes them when it is started with ``--kv-events-config``. ``tcp://*:PORT``
makes it listen; any other TCP address makes it connect.
"""

from __future__ import annotations

import logging
import time

import msgspec
import zmq
from vllm.distributed.kv_events import BlockRemoved, BlockStored, KVEventBatch

from ..clock import NS_PER_S
from ..errors import RecordingError, SettingsError
from ..metrics.prefix_log import PrefixLog
from .prefix_watch import external_hashes

logger = logging.getLogger("vllm.sim.prefix")

_POLL_MS = 200


def listen(endpoint: str, seconds: float | None) -> PrefixLog | None:
    """Take events until Ctrl-C, or for some seconds.

    Args:
        endpoint: Where the server publishes, as ``tcp://127.0.0.1:5557``.
        seconds: How long; None is until Ctrl-C.

    Returns:
        The log; None where no block was stored.

    Raises:
        SettingsError: The endpoint is none.
        RecordingError: Events were lost: their sequence numbers have a hole.
    """
    socket: zmq.Socket = zmq.Context.instance().socket(zmq.SUB)
    try:
        try:
            socket.connect(endpoint)
        except zmq.ZMQError as error:
            raise SettingsError(f"--kv-events {endpoint}: {error}") from None
        socket.subscribe(b"")
        logger.info("listening to %s; Ctrl-C ends it", endpoint)
        return _take(socket, None if seconds is None else time.monotonic() + seconds)
    finally:
        socket.close(linger=0)


def _take(socket: zmq.Socket, until_s: float | None) -> PrefixLog | None:
    decoder = msgspec.msgpack.Decoder(KVEventBatch)
    log: PrefixLog | None = None
    first_s: float | None = None
    expected: int | None = None
    try:
        while until_s is None or time.monotonic() < until_s:
            if not socket.poll(_POLL_MS):
                continue
            _, sequence, payload = socket.recv_multipart()
            number = int.from_bytes(sequence, "big")
            if expected is not None and number != expected:
                raise RecordingError(f"KV cache events {expected} to {number - 1} were lost")
            expected = number + 1
            batch = decoder.decode(payload)
            first_s = batch.ts if first_s is None else first_s
            log = _add(log, batch, round((batch.ts - first_s) * NS_PER_S))
    except KeyboardInterrupt:
        pass
    return log


def _add(log: PrefixLog | None, batch: KVEventBatch, at_ns: int) -> PrefixLog | None:
    for event in batch.events:
        if isinstance(event, BlockStored) and not event.group_idx:
            log = log or PrefixLog(event.block_size)
            log.stored(at_ns, external_hashes(event.block_hashes))
        elif isinstance(event, BlockRemoved) and not event.group_idx and log is not None:
            log.removed(at_ns, external_hashes(event.block_hashes))
    return log
