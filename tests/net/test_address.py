import pytest

from unmask.errors import UsageError
from unmask.net.address import check_address, is_address, is_public, percent_encoded, without_password


@pytest.mark.parametrize(
    "ip",
    [
        "127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "192.0.2.1",
        "224.0.0.1", "240.0.0.1", "255.255.255.255", "::", "::1", "fe80::1", "fe80::1%eth0", "fec0::1", "fc00::1",
        "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "2002:7f00:1::", "64:ff9b::a00:1", "2001:db8::1",
    ],
)  # fmt: skip
def test_addresses_that_are_not_public(ip):
    assert not is_public(ip)


@pytest.mark.parametrize("ip", ["8.8.8.8", "2606:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8"])
def test_addresses_that_are_public(ip):
    assert is_public(ip)


def test_files_are_no_addresses():
    assert is_address("https://example.org/a.mp4")
    assert is_address("file:///a.mp4")
    assert not is_address("a.mp4")
    assert not is_address("/folder/https:/a.mp4")


def test_plain_http_stays_within_this_machine():
    check_address("http://127.0.0.1:80/a")
    check_address("http://localhost/a")
    check_address("http://[::1]:80/a")
    with pytest.raises(UsageError, match="no https address"):
        check_address("http://127.0.0.1:80/a", loopback=False)


def test_what_is_encoded_stays_and_the_rest_is_encoded():
    assert percent_encoded("https://host/a b%20\u00e9?k=\u00e9 #part") == "https://host/a%20b%20%C3%A9?k=%C3%A9%20"


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://user:secret@host/a@b?c=d@e", "https://***@host/a@b?c=d@e"),
        ("https://secret@host", "https://***@host"),
        ("https://user:se@cret@host/a", "https://***@host/a"),
        ("https://host/a@b", "https://host/a@b"),
        ("https://host?to=a@b", "https://host?to=a@b"),
        ("a@b.mp4", "a@b.mp4"),
    ],
)
def test_no_password_is_shown_and_none_is_sent(address, shown):
    assert without_password(address) == shown
    if shown != address:
        with pytest.raises(UsageError, match="no names or passwords are sent") as raised:
            check_address(address)
        assert "cret" not in str(raised.value)
