"""Downloads from public hosts; whole scans of addresses are in tests/cli/test_addresses.py."""

import io
import socket
import ssl
import threading

import pytest
import trustme

from tests.server import serve
from unmask.errors import DownloadError
from unmask.net import download, public
from unmask.net.public import fetch_public

CONTENT = bytes(range(256)) * 500


@pytest.fixture
def server(tmp_path, monkeypatch):
    """Release a file over https from this machine, with a certificate that is trusted."""
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    monkeypatch.setattr(download, "PAUSE_SECONDS", 0.0)
    with serve({"a": CONTENT}, context) as server:
        yield server


def is_loopback(ip):
    return ip in ("127.0.0.1", "::1")


def test_a_broken_connection_is_continued(server):
    file = io.BytesIO()
    server.break_after = [50_000]
    fetch_public(f"{server.url}/a", file, len(CONTENT), may_reach=is_loopback)
    assert file.getvalue() == CONTENT
    assert server.asked == [("a", None), ("a", "bytes=50000-")]


def test_this_machine_is_not_public(server):
    with pytest.raises(DownloadError, match="localhost lies within this machine or a private network"):
        fetch_public(f"{server.url}/a", io.BytesIO(), len(CONTENT))
    assert server.connections == 0


@pytest.fixture
def names(monkeypatch):
    """A resolver: each name has the answers of its look-ups in turn, the last one for ever; others are looked up."""
    answers, honest = {}, socket.getaddrinfo
    asked = []

    def look_up(host, port, *args, **options):
        if host not in answers:
            return honest(host, port, *args, **options)
        asked.append(host)
        ips = answers[host].pop(0) if len(answers[host]) > 1 else answers[host][0]
        return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (ip, port)) for ip in ips]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    answers["asked"] = asked
    return answers


PUBLIC, PRIVATE = "127.0.0.1", "127.0.0.2"
"""Two addresses that this machine has: the first one stands for a public host, the second one for one within."""


def reach(server, name, file=None):
    fetch_public(
        server.url.replace("localhost", name) + "/a", file or io.BytesIO(), len(CONTENT), may_reach=is_loopback
    )


def test_a_name_that_changes_its_address_leads_nowhere(server, names):
    """DNS rebinding: a public address for the look at it, one within for the connection. There is one look-up alone."""
    names["localhost"] = [[PUBLIC], [PRIVATE]]
    file = io.BytesIO()
    reach(server, "localhost", file)
    assert file.getvalue() == CONTENT
    assert names["asked"] == ["localhost"]


def test_nor_does_one_that_changes_it_before_the_rest_is_fetched(server, names):
    names["localhost"], server.break_after = [[PUBLIC], [PRIVATE]], [50_000]
    with pytest.raises(DownloadError, match="localhost lies within this machine"):
        reach(server, "localhost")
    assert (names["asked"], server.connections) == (["localhost", "localhost"], 1)


def test_of_several_addresses_the_public_ones_are_tried_alone(server, names, monkeypatch):
    tried, honest = [], socket.socket.connect
    monkeypatch.setattr(socket.socket, "connect", lambda self, where: tried.append(where[0]) or honest(self, where))
    names["localhost"] = [[PRIVATE, PUBLIC, PRIVATE]]
    reach(server, "localhost")
    assert tried == [PUBLIC]


@pytest.mark.parametrize(
    "there", ["https://inner.test/a", "https://127.0.0.2/a", "https://[::ffff:127.0.0.2]/a", "https://2130706434/a",
              "https://0x7f.2/a", "https://0177.0.0.2/a", "https://127.2/a", "//127.0.0.2/a", "https://0/a"]
)  # fmt: skip
def test_a_redirect_leads_to_nobody_within(server, names, there):
    names["inner.test"] = [[PRIVATE]]
    server.redirects["a"] = there
    with pytest.raises(DownloadError, match="lies within this machine or a private network"):
        reach(server, "localhost")
    assert server.connections == 1


@pytest.mark.parametrize(
    "there", ["http://localhost/a", "file:///etc/passwd", "ftp://localhost/a", "data:,a", "gopher://a/"]
)
def test_a_redirect_stays_with_https(server, there):
    server.redirects["a"] = there
    with pytest.raises(DownloadError, match="https"):
        reach(server, "localhost")
    assert server.connections == 1


def test_redirects_have_an_end(server):
    server.redirects["a"] = f"{server.url}/a"
    with pytest.raises(DownloadError):
        reach(server, "localhost")
    assert server.connections < 20


def test_files_that_are_too_large_are_refused(server):
    with pytest.raises(DownloadError, match="more than 1000 are not fetched") as caught:
        fetch_public(f"{server.url}/a", io.BytesIO(), 1000, may_reach=is_loopback)
    assert caught.value.status == "rejected_limit"


def test_a_download_can_be_given_up(server):
    with pytest.raises(DownloadError, match="was given up"):
        fetch_public(f"{server.url}/a", io.BytesIO(), len(CONTENT), lambda: True, is_loopback)


def test_one_that_is_given_up_while_its_host_is_looked_up_connects_to_nobody(server):
    answers = iter([False])
    with pytest.raises(DownloadError, match="was given up"):
        fetch_public(f"{server.url}/a", io.BytesIO(), len(CONTENT), lambda: next(answers, True), is_loopback)
    assert server.connections == 0


def test_nobody_waits_for_a_name_server_that_never_answers(monkeypatch):
    """Neither who gives the download up, nor the end of the process."""
    done, daemons, answers = threading.Event(), [], iter([False, False])

    def ask(*_, **__):
        daemons.append(threading.current_thread().daemon)
        done.wait(20)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", ask)
    monkeypatch.setattr(public, "_SLICE_SECONDS", 0.01)
    try:
        with pytest.raises(DownloadError, match="was given up"):
            fetch_public("https://a.example/x", io.BytesIO(), 1000, lambda: next(answers, True))
    finally:
        done.set()
    assert daemons == [True]


def test_nobody_waits_for_a_server_that_never_shakes_hands(monkeypatch):
    """The socket is closed as well, and waits in slices in which it can be given up."""
    made, answers = [], iter([False] * 4)
    monkeypatch.setattr(public, "_SLICE_SECONDS", 0.01)

    class Silent(public._PatientSocket):
        def do_handshake(self, *args):
            made.append((self, self.gettimeout()))
            super().do_handshake(*args)

    monkeypatch.setattr(public, "_PatientSocket", Silent)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://127.0.0.1:{silent.getsockname()[1]}/a"
        with pytest.raises(DownloadError, match="was given up"):
            fetch_public(url, io.BytesIO(), 1000, lambda: next(answers, True), is_loopback)
    assert {seconds for _, seconds in made} == {0.01}
    assert made[0][0].fileno() == -1


@pytest.mark.parametrize("url", ["http://127.0.0.1/a", "file:///etc/passwd", "https://"])
def test_only_https_is_fetched(url):
    with pytest.raises(DownloadError, match="no https address"):
        fetch_public(url, io.BytesIO(), 1000)


def addresses(*ips, port):
    return lambda *_, **__: [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, at)) for ip, at in zip(ips, port, strict=True)
    ]


def test_the_first_address_that_may_be_reached_and_answers_is_taken(server, monkeypatch):
    """A private one is passed over, one that refuses the connection as well."""
    port = int(server.url.rpartition(":")[2])
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        ports = (port, taken.getsockname()[1], port)
        monkeypatch.setattr(socket, "getaddrinfo", addresses("10.0.0.1", "127.0.0.1", "127.0.0.1", port=ports))
        tried, honest = [], socket.socket.connect
        monkeypatch.setattr(
            socket.socket, "connect", lambda self, where: tried.append((self, self.gettimeout())) or honest(self, where)
        )
        file = io.BytesIO()
        fetch_public(f"{server.url}/a", file, len(CONTENT), may_reach=is_loopback)
    assert file.getvalue() == CONTENT
    assert [seconds for _, seconds in tried] == [public._CONNECT_SECONDS] * 2, "one that is silent is passed over, too"
    assert tried[0][0].fileno() == -1, "the one that refused is closed"


@pytest.mark.parametrize("error", [socket.gaierror(-2, "Name or service not known"), UnicodeError("label too long")])
def test_a_name_that_leads_nowhere(monkeypatch, error):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(
        DownloadError, match=r"cannot fetch https://a\.example/x: .*(not known|cannot be a host's name)"
    ):
        fetch_public("https://a.example/x", io.BytesIO(), 1000)


def test_a_server_that_is_no_https_server_is_left(monkeypatch):
    with serve({"a": CONTENT}) as plain:
        monkeypatch.setattr(download, "PAUSE_SECONDS", 0.0)
        with pytest.raises(DownloadError, match="cannot fetch"):
            fetch_public(plain.url.replace("http:", "https:") + "/a", io.BytesIO(), 1000, may_reach=is_loopback)


def test_patience_is_longer_for_what_comes_fast_enough(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(public.time, "monotonic", lambda: now[0])
    patience = public._Patience(lambda: False)
    now[0] += public.PATIENCE_SECONDS
    patience.check()
    now[0] += 1.0
    with pytest.raises(DownloadError, match=r"too slow: 0 bytes in 61 seconds; fetch it yourself") as caught:
        patience.check()
    assert caught.value.status == "timeout"
    patience.count(public.MIN_BYTES_PER_SECOND)
    patience.count(public.MIN_BYTES_PER_SECOND)
    patience.check()
    now[0] += 1.5
    with pytest.raises(DownloadError, match="too slow: 40000 bytes in 62 seconds"):
        patience.check()
