"""A server on this machine that releases files."""

import hashlib
import ssl
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Server(ThreadingHTTPServer):
    """Gives files by name, in parts where it is asked to, and remembers what it was asked for."""

    daemon_threads = True

    def __init__(self, files, context=None):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files, self.asked, self.break_after, self.redirects = files, [], [], {}
        self.says_length, self.pause_seconds, self.connections = True, 0.0, 0
        self.context = context

    @property
    def url(self):
        host = "https://localhost" if self.context else "http://127.0.0.1"
        return f"{host}:{self.server_port}"

    def get_request(self):
        connection, address = super().get_request()
        self.connections += 1
        if self.context:  # hands are shaken by the thread that answers
            connection = self.context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return connection, address

    def handle_error(self, request, client_address):
        """Clients that leave early are what many tests are about."""


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server, name = self.server, self.path.removeprefix("/").partition("?")[0]
        if name in server.redirects:
            self.send_response(302)
            self.send_header("Location", server.redirects[name])
            self.end_headers()
            return
        server.asked.append((name, self.headers.get("Range")))
        if name not in server.files:
            self.send_error(404)
            return
        content = server.files[name]
        tag = f'"{hashlib.sha256(content).hexdigest()[:8]}"'
        goes_on = self.headers.get("Range") and self.headers.get("If-Range") == tag
        start = int(self.headers["Range"].removeprefix("bytes=").rstrip("-")) if goes_on else 0
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        if server.says_length:
            self.send_header("Content-Length", str(len(content) - start))
        self.send_header("ETag", tag)
        self.end_headers()
        if server.pause_seconds:
            self.wfile.write(content[start : start + 100])
            start += 100
            server.left.wait(server.pause_seconds)
        self.wfile.write(content[start : start + server.break_after.pop(0)] if server.break_after else content[start:])

    def log_message(self, *_):
        pass


@contextmanager
def serve(files, context=None):
    """Release files, name -> content, for the length of the block; over https where there is a TLS context."""
    with Server(files, context) as server:
        server.left = threading.Event()
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.left.set()
            server.shutdown()
            thread.join()


def trusted_tls(authority, folder, monkeypatch):
    """Return the TLS context of a server on this machine whose certificate the tests' downloads trust.

    Args:
        authority: A `trustme.CA`.
        folder: Where its certificate is written.
        monkeypatch: Pytest's.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    authority.cert_pem.write_to_path(folder / "authority.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(folder / "authority.pem"))
    return context


def is_this_machine(ip):
    """Stand in for `unmask.net.address.is_public`, so that a server of the tests may be reached."""
    return ip in ("127.0.0.1", "::1")
