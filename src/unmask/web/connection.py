"""One connection of a client, which is not waited for without end.

uvicorn waits for ever for the rest of a request's head, for the rest of a body that nobody wants any more, and for a
client that does not take what is sent to it. A few hundred such clients would keep all others out.
"""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS = 10.0
"""How long the head of a request may take, from its first byte; of the first one, from the connection on."""
TAKE_SECONDS = 60.0
"""How long a client may leave what is sent to it where it is."""


class PatientConnection(H11Protocol):
    """HTTP/1.1 as uvicorn reads it, heads of 64 KB at most included, with an end to each wait for the client."""

    _head_timer: asyncio.TimerHandle | None = None
    _take_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first head."""
        super().connection_made(transport)
        self._watch_head()

    def data_received(self, data: bytes) -> None:
        """Read on; what comes while no request is under way belongs to a head, or to a body that was refused."""
        super().data_received(data)
        self._watch_head()

    def on_response_complete(self) -> None:
        """Go on with the next request; uvicorn itself closes a connection on which nothing comes."""
        super().on_response_complete()
        self._watch_head(is_idle=True)

    def pause_writing(self) -> None:
        """Wait for the client to take something."""
        super().pause_writing()
        self._take_timer = self._take_timer or self.loop.call_later(TAKE_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on sending."""
        super().resume_writing()
        self._stop_timers(take=True)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        super().connection_lost(exc)
        self._stop_timers(head=True, take=True)

    def _watch_head(self, is_idle: bool = False) -> None:
        is_under_way = self.cycle is not None and not self.cycle.response_complete
        if is_under_way or is_idle:
            self._stop_timers(head=True)
        elif self._head_timer is None and not self.transport.is_closing():
            self._head_timer = self.loop.call_later(HEAD_SECONDS, self.transport.abort)

    def _stop_timers(self, *, head: bool = False, take: bool = False) -> None:
        if head and self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
        if take and self._take_timer is not None:
            self._take_timer.cancel()
            self._take_timer = None
