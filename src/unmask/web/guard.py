"""What stands before every request: which host it names, where it comes from, whether it knows the token.

A page of a stranger in the user's browser can send requests to this machine, also under a host name of its own that
leads here (DNS rebinding). So only known names are answered, what changes something is taken from our own page and from
programs alone, and nothing may be embedded elsewhere.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import secrets
import time
from collections.abc import Callable
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from unmask.web.settings import ServeSettings

log = logging.getLogger(__name__)

COOKIE, SECURE_COOKIE = "unmask_session", "__Host-unmask_session"
"""Name of the cookie over http within this machine, and over https."""
SESSION_SECONDS, MAX_SESSIONS = 12 * 3600.0, 1000
"""How long a browser that gave the token is known, and how many are."""
MAX_FAILURES, FAILURE_SECONDS = 10, 60.0
"""Wrong tokens of one client that are answered within so many seconds; further ones are not looked at."""
_MAX_CLIENTS = 10_000
MAX_BODY_BYTES = 1 << 18
"""Longest body of a request that sends no file: a note of 10,000 letters, each of them escaped, is half of it."""
_SAFE = ("GET", "HEAD", "OPTIONS")
_OPEN_PATHS = ("/", "/healthz", "/api/session")
"""What is answered without a token, besides the page's files: nothing of it tells about jobs."""
_TOLD = {
    401: "no token, or a wrong one",
    403: "another page",
    421: "an unknown host name",
    429: "too many wrong tokens",
}
"""What the log tells of refused requests, by the status of the answer."""
_FILE_PATHS = ("/api/jobs", "/videos/jobs")
"""Where files are handed in, which have bounds of their own."""

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; "
    "connect-src 'self'; frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
REPORT_POLICY = (
    "default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'self'; sandbox allow-same-origin"
)
ANSWER_POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
"""Of all that has no policy of its own."""
FILE_POLICY = f"{ANSWER_POLICY}; sandbox"


class Guard:
    """ASGI middleware; see the module."""

    def __init__(self, app: ASGIApp, settings: ServeSettings, on_answer: Callable[[Scope, int], None]) -> None:
        """Guard an application.

        Args:
            app: The application.
            settings: Hosts, origins and token.
            on_answer: Called with each request and the status of its answer.
        """
        self._app, self._settings, self._on_answer = app, settings, on_answer
        self._failures: dict[str, list[float]] = {}
        self._sessions: dict[str, float] = {}  # cookie -> when it ends
        self._told: dict[tuple[str, str], float] = {}  # what was refused, and whom -> when the log last said so

    def begin_session(self, headers: Headers, client: str) -> str:
        """Return the cookie of a new session; the one that the browser had ends."""
        self.end_session(headers, client)
        while len(self._sessions) >= MAX_SESSIONS:
            del self._sessions[next(iter(self._sessions))]  # the oldest
        cookie = secrets.token_urlsafe(32)
        self._sessions[cookie] = time.monotonic() + SESSION_SECONDS
        log.info("a session of %s begins", client)
        return cookie

    def end_session(self, headers: Headers, client: str) -> None:
        """End the session of a browser, whatever it keeps of its cookie."""
        if self._sessions.pop(_session_cookie(headers), None) is not None:
            log.info("a session of %s ends", client)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or hand it on."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        headers, origin = Headers(scope=scope), self._foreign_origin(Headers(scope=scope))

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._on_answer(scope, message["status"])
                self._add_headers(MutableHeaders(scope=message), origin, is_secure=scope["scheme"] == "https")
            await send(message)

        refusal = self._refusal(scope, headers, origin)
        if scope["path"] not in _FILE_PATHS:
            receive = _bounded(receive, self._settings.patience_seconds)
        await (refusal or self._app)(scope, receive, send_with_headers)

    def _refusal(self, scope: Scope, headers: Headers, origin: str | None) -> Response | None:
        """Return the answer to a request that is not handed on; the log tells of it once a minute and client."""
        refusal = self._foreign_refusal(scope, headers, origin) or self._token_refusal(scope, headers)
        if refusal is not None and refusal.status_code in _TOLD:
            client, why = client_of(scope), _TOLD[refusal.status_code]
            now, about = time.monotonic(), f"Host {headers.get('host', '')!r:.200}, Origin {origin!r:.200}"
            if now - self._told.get((why, client), -FAILURE_SECONDS) >= FAILURE_SECONDS:
                if len(self._told) >= _MAX_CLIENTS:
                    self._told.clear()
                self._told[why, client] = now
                log.warning("refused %s: %s; %s", client, why, about)
        return refusal

    def _foreign_refusal(self, scope: Scope, headers: Headers, origin: str | None) -> Response | None:
        if host_of(headers.get("host", "")) not in self._settings.allowed_hosts:
            return _problem(421, "this service does not go by that name; start it with --allow-host NAME")
        if origin is not None and origin not in self._settings.origins and scope["method"] not in _SAFE:
            return _problem(403, "this comes from another page; start the service with --allow-origin to take it")
        if origin is None and headers.get("sec-fetch-site") == "cross-site" and scope["method"] not in _SAFE:
            return _problem(403, "this comes from another page; open the service's own")
        if scope["method"] == "OPTIONS" and origin in self._settings.origins:
            return Response(status_code=204)
        return None

    def _token_refusal(self, scope: Scope, headers: Headers) -> Response | None:
        path, token = scope["path"], self._settings.token
        if token is None or path in _OPEN_PATHS or path.startswith("/static/"):
            return None
        given = headers.get("authorization", "")
        client = client_of(scope)
        if given[:7].lower() == "bearer ":
            if (wait := self.wait_seconds(client)) > 0:
                return too_many(wait)
            if same_token(given[7:], token):
                return None
            self.count_failure(client)
        elif self._sessions.get(_session_cookie(headers), 0.0) > time.monotonic():
            return None
        answer = _problem(401, "this needs the token that the service was started with: Authorization: Bearer TOKEN")
        answer.headers["WWW-Authenticate"] = "Bearer"
        return answer

    def wait_seconds(self, client: str) -> float:
        """Return how long a client that sent too many wrong tokens has to wait; 0 for none."""
        now = time.monotonic()
        recent = [moment for moment in self._failures.get(client, ()) if now - moment < FAILURE_SECONDS]
        return recent[-MAX_FAILURES] + FAILURE_SECONDS - now if len(recent) >= MAX_FAILURES else 0.0

    def count_failure(self, client: str) -> None:
        """Remember a wrong token, and tell the log."""
        log.warning("a wrong token from %s", client)
        if len(self._failures) >= _MAX_CLIENTS:
            self._failures.clear()
        moments = self._failures.setdefault(client, [])
        moments.append(time.monotonic())
        del moments[:-MAX_FAILURES]

    def _foreign_origin(self, headers: Headers) -> str | None:
        """Return the origin that a request names, None where it names its own or none."""
        origin = headers.get("origin")
        if origin is None:
            return None
        own = urlsplit(origin)
        return None if own.scheme in ("http", "https") and own.netloc == headers.get("host") else origin

    def _add_headers(self, headers: MutableHeaders, origin: str | None, is_secure: bool) -> None:
        if is_secure:
            headers["Strict-Transport-Security"] = "max-age=31536000"
        headers["X-Content-Type-Options"] = "nosniff"
        headers["Referrer-Policy"] = "no-referrer"
        headers["Cross-Origin-Opener-Policy"] = "same-origin"
        headers["Cross-Origin-Resource-Policy"] = "cross-origin" if self._settings.origins else "same-origin"
        headers["Permissions-Policy"] = "camera=(), geolocation=(), microphone=()"
        headers.setdefault("Content-Security-Policy", ANSWER_POLICY)
        headers.setdefault("Cache-Control", "no-store")
        if origin in self._settings.origins and origin is not None:
            headers["Access-Control-Allow-Origin"] = origin
            headers["Access-Control-Allow-Methods"] = "GET, POST, PUT, DELETE"
            headers["Access-Control-Allow-Headers"] = "Authorization, Content-Type"
            headers["Access-Control-Allow-Private-Network"] = "true"
            headers["Vary"] = "Origin"


def client_of(scope: Scope) -> str:
    """Return whom limits are counted for: the address that the connection comes from."""
    return scope["client"][0] if scope.get("client") else "unknown"


def host_of(header: str) -> str:
    """Return the name in a Host header, in lower case, without port and brackets."""
    name = header.rpartition(":")[0] if header.rpartition(":")[2].isdecimal() else header
    return name.removeprefix("[").removesuffix("]").lower()


def same_token(given: str, token: str) -> bool:
    """Compare in a time that does not depend on how much is right."""
    return hmac.compare_digest(given.encode("utf-8", "replace"), token.encode())


def too_many(wait_seconds: float) -> JSONResponse:
    """Return the answer to a client that sent too many wrong tokens."""
    answer = _problem(429, "too many wrong tokens; wait a minute")
    answer.headers["Retry-After"] = str(int(wait_seconds) + 1)
    return answer


def _bounded(receive: Receive, seconds: float) -> Receive:
    """Return a function that receives a body of `MAX_BODY_BYTES` at most, within this time."""
    left_bytes, has_all = MAX_BODY_BYTES, False
    until = time.monotonic() + seconds

    async def receive_bounded() -> Message:
        nonlocal left_bytes, has_all
        if has_all:  # what comes then is the end of the connection, however late
            return await receive()
        try:
            async with asyncio.timeout(until - time.monotonic()):
                message = await receive()
        except TimeoutError:
            raise HTTPException(408, f"the request was not whole after {seconds:g} seconds; send it again") from None
        left_bytes -= len(message.get("body", b""))
        if left_bytes < 0:
            raise HTTPException(413, f"this is longer than the {MAX_BODY_BYTES} bytes that it may be")
        has_all = not message.get("more_body", False)
        return message

    return receive_bounded


def _session_cookie(headers: Headers) -> str:
    try:
        cookies = SimpleCookie(headers.get("cookie", ""))
    except CookieError:
        return ""
    return next((cookies[name].value for name in (SECURE_COOKIE, COOKIE) if name in cookies), "")


def _problem(status: int, message: str) -> JSONResponse:
    return JSONResponse({"detail": message}, status)
