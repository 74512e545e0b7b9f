"""A stand-in for a hub, on this machine: it takes a commit as huggingface_hub sends it, and gives its files back."""

import base64
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        found = self.server.files.get(self.path)
        if self.path.startswith("/api/models/") and self.server.is_made:
            self._say({"id": "anna/mine", "sha": "0" * 40, "siblings": []})
        elif found is None:
            self._say({"error": "not found"}, 404)
        else:
            self._send(found, 200, "application/octet-stream")

    def do_HEAD(self):
        self.do_GET()

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.asked.append((self.path, self.headers.get("Authorization")))
        if self.server.refuses:
            self._say({"error": "You don't have the rights"}, 403)
        elif self.path == "/api/repos/create":
            self.server.is_made = True
            self._say({"url": f"{self.server.url}/anna/mine", "name": "anna/mine", "id": "1"})
        elif "/preupload/" in self.path:
            files = json.loads(body)["files"]
            self._say({"files": [{"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in files]})
        elif "/commit/" in self.path:
            revision = self.path.partition("/commit/")[2]
            for line in body.splitlines():
                entry = json.loads(line)
                if entry["key"] == "file":
                    value = entry["value"]
                    path = f"/anna/mine/resolve/{revision}/{value['path']}"
                    self.server.files[path] = base64.b64decode(value["content"])
            self._say({"commitUrl": f"{self.server.url}/anna/mine/commit/1", "commitOid": "1", "success": True})
        else:
            self._say({})

    def _say(self, value, status=200):
        self._send(json.dumps(value).encode(), status, "application/json")

    def _send(self, content, status, kind):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        if status == 404:
            self.send_header("X-Error-Code", "RepoNotFound")  # as the hub says it
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_):
        pass


@contextmanager
def serve_hub():
    """Stand in for a hub for the length of the block."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        server.daemon_threads = True
        server.files, server.asked, server.refuses, server.is_made = {}, [], False, False
        server.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
