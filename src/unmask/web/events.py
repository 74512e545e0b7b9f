"""Tell everybody who listens what happens to jobs, as server-sent events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

MAX_LISTENERS = 200
MAX_BACKLOG = 500
KEEP_ALIVE_SECONDS = 15.0


class Board:
    """Hands each event to all listeners; one that does not keep up is sent away, and comes back by itself."""

    def __init__(self) -> None:
        self._listeners: set[asyncio.Queue[tuple[str, Mapping[str, Any]] | None]] = set()

    @property
    def is_full(self) -> bool:
        """Whether there are as many listeners as there may be."""
        return len(self._listeners) >= MAX_LISTENERS

    def publish(self, event: str, data: Mapping[str, Any]) -> None:
        """Tell all listeners; to be called in the event loop."""
        for listener in list(self._listeners):
            try:
                listener.put_nowait((event, data))
            except asyncio.QueueFull:
                self._send_away(listener)

    def close(self) -> None:
        """Send all listeners away."""
        for listener in list(self._listeners):
            self._send_away(listener)

    def _send_away(self, listener: asyncio.Queue[tuple[str, Mapping[str, Any]] | None]) -> None:
        self._listeners.discard(listener)
        while not listener.empty():
            listener.get_nowait()
        listener.put_nowait(None)

    async def listen(
        self, job_id: str | None = None, look: Callable[[], Awaitable[Mapping[str, Any] | None]] | None = None
    ) -> AsyncIterator[str]:
        """Yield events as text, of one job or of all; those of one job end when it does.

        Args:
            job_id: The job; None for all.
            look: Returns the job as it is now, None where there is none. It is asked once events are kept for this
                listener, so that no change falls between the look and the first event.
        """
        queue: asyncio.Queue[tuple[str, Mapping[str, Any]] | None] = asyncio.Queue(MAX_BACKLOG)
        self._listeners.add(queue)
        try:
            yield "retry: 2000\n\n"
            if look is not None:
                first = await look()
                if first is None:
                    yield _text("deleted", {"id": job_id})
                    return
                yield _text("job", first)
                if _is_last("job", first):
                    return
            while True:
                try:
                    async with asyncio.timeout(KEEP_ALIVE_SECONDS):
                        item = await queue.get()
                except TimeoutError:
                    yield ": still here\n\n"
                    continue
                if item is None:
                    return
                event, data = item
                if job_id is None or data["id"] == job_id:
                    yield _text(event, data)
                    if job_id is not None and _is_last(event, data):
                        return
        finally:
            self._listeners.discard(queue)


def _is_last(event: str, data: Mapping[str, Any]) -> bool:
    return event == "deleted" or data["state"] in ("done", "failed")


def _text(event: str, data: Mapping[str, Any]) -> str:
    return f"event: {event}\ndata: {json.dumps(data)}\n\n"
