"""A server on this machine that releases files."""

import hashlib
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Server(ThreadingHTTPServer):
    """Gives files by name, in parts where it is asked to, and remembers what it was asked for."""

    daemon_threads = True

    def __init__(self, files):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files, self.asked, self.break_after, self.redirects = files, [], [], {}

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server, name = self.server, self.path.removeprefix("/")
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
        self.send_header("Content-Length", str(len(content) - start))
        self.send_header("ETag", tag)
        self.end_headers()
        self.wfile.write(content[start : start + server.break_after.pop(0)] if server.break_after else content[start:])

    def log_message(self, *_):
        pass


@contextmanager
def serve(files):
    """Release files, name -> content, for the length of the block."""
    with Server(files) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
