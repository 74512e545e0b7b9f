"""Tell which addresses are fetched, and which belong to the public internet."""

from __future__ import annotations

import ipaddress
import re
from contextlib import suppress
from urllib.parse import quote, urlsplit, urlunsplit

from unmask.errors import UsageError

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_USER = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]+://)[^/?#]*@")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def is_address(text: str) -> bool:
    """Tell whether this is an address, not a file."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", text) is not None


def check_address(url: str, *, loopback: bool = True) -> None:
    """Refuse addresses that are not https; plain http may stay within this machine.

    Args:
        url: The address.
        loopback: Whether plain http within this machine is allowed.

    Raises:
        UsageError: It is something else.
    """
    with suppress(ValueError):  # brackets that do not match
        parts = urlsplit(url)
        if "@" in parts.netloc:
            raise UsageError(
                f"{without_password(url)[:200]!r} names a user, and no names or passwords are sent; fetch it yourself, "
                "and name the file"
            )
        if (parts.scheme == "https" and parts.hostname) or (loopback and is_loopback(url)):
            return
    raise UsageError(
        f"{without_password(url)[:200]!r} is no https address, and only those are fetched; name one, or a file"
    )


def without_password(address: str) -> str:
    """Return an address with ``***`` in the place of the user and the password that it names, if it names any."""
    return _USER.sub(r"\1***@", address, count=1)


def is_loopback(url: str) -> bool:
    """Tell whether this is a plain http address within this machine."""
    parts = urlsplit(url)
    return parts.scheme == "http" and parts.hostname in _LOOPBACK


def is_public(ip: str) -> bool:
    """Tell whether an IP address belongs to the public internet, also where IPv6 only wraps an older address."""
    address = ipaddress.ip_address(ip)
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
        if address.is_site_local:
            return False
    return address.is_global and not (address.is_multicast or address.is_reserved)


def percent_encoded(url: str) -> str:
    """Encode what people type and servers do not take; what is encoded already stays."""
    parts = urlsplit(url)
    path, query = (quote(text, "/%:@!$&'()*+,;=~?", errors="surrogateescape") for text in (parts.path, parts.query))
    return urlunsplit(parts._replace(path=path, query=query, fragment=""))
