"""Which base URLs credentials may be sent to: HTTPS anywhere, plain HTTP on the loopback range alone."""

import ipaddress
from urllib.parse import urlsplit


def is_loopback(host: str) -> bool:
    """Whether a host is `localhost` or an address of the loopback range, by its text alone."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def checked_base_url(text: str) -> str:
    """The URL without a final slash, if credentials may be sent there.

    Raises ValueError with the reason and the cure, and without the URL, which may hold a password.
    """
    if not text.isascii() or not text.isprintable() or any(c in text for c in ' \\"<>^`{|}'):
        raise ValueError("holds a character that has no place in a URL; write a name outside ASCII as xn--…")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError("is not a valid URL; write it as https://host/path") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("is not a full URL; write it as https://host/path")
    if parts.username is not None or parts.password is not None:
        raise ValueError("holds a user name or password; give credentials by their own keys")
    if "?" in text or "#" in text:
        raise ValueError("has a query or a fragment; give the scheme, host and path alone")
    if port == 0:
        raise ValueError("names port 0; give the port that the server listens on")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ValueError("is plain HTTP, which is for 127.0.0.1 and localhost alone; use https://")
    return text.rstrip("/")


def checked_proxy(text: str) -> str:
    """The proxy's URL, if it is one. Raises ValueError without the URL, which may hold a password."""
    try:
        parts = urlsplit(text)
        usable = (
            parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0 and text.isprintable()
        )
    except ValueError:
        usable = False
    if not usable:
        raise ValueError("is no proxy that balcli can use; write it as http://host:port")
    return text
