"""Validate base URLs (HTTPS, or HTTP on loopback), compare them, and show them without credentials."""

import ipaddress
import re
from functools import lru_cache
from typing import Self, final
from urllib.parse import SplitResult, urlsplit, urlunsplit

_LABEL = "[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
_HERE = "127.0.0.1"
_NOT_IN_URL = frozenset(' \\"<>^`{|}')
_NAME = rf"{_LABEL}(\.{_LABEL})*\.?"


@final
class BaseUrl(str):
    """A base URL with expanded variables, which may be credentials. Messages use `shown` instead."""

    __slots__ = ("shown",)
    shown: str

    def __new__(cls, url: str, shown: str) -> Self:
        """The URL, and the profile's text to show for it."""
        made = super().__new__(cls, url)
        made.shown = shown
        return made


def display_url(base_url: str) -> str:
    """The text of a base URL for messages, logs and files."""
    return base_url.shown if isinstance(base_url, BaseUrl) else base_url


def display_host(base_url: str) -> str:
    """The host and port of a base URL for messages."""
    return display_url(base_url).rpartition("://")[2].partition("/")[0]


def is_loopback(host: str) -> bool:
    """Whether a host is `localhost` or an address in the loopback range, without a DNS lookup."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@lru_cache(maxsize=64)  # called for each request, with few different hosts
def is_loopback_url(url: str) -> bool:
    """Whether a URL's host is on the loopback range, without a lookup."""
    return is_loopback(urlsplit(url).hostname or "")


@lru_cache(maxsize=64)  # accounts share hosts
def validate_base_url(text: str) -> str:
    """The URL with its scheme and host in lower case, without a default port or trailing slash.

    Raises ValueError, with the cure, if credentials must not be sent there. The message does not contain the URL,
    which may contain a password.
    """
    parts = _split(text)
    if parts.username is not None or parts.password is not None:
        raise ValueError("contains a user name or password; set credentials with their own keys")
    if "?" in text or "#" in text:
        raise ValueError("contains a query or a fragment; use only scheme, host and path")
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise ValueError("is plain HTTP, which is allowed only for 127.0.0.1 and localhost; use https://")
    host = parts.netloc.lower().removesuffix(":443" if parts.scheme == "https" else ":80")
    return urlunsplit((parts.scheme, host, parts.path, "", "")).rstrip("/")


@lru_cache(maxsize=64)  # accounts share hosts
def normalize_url(base_url: str) -> str:
    """The normal form of a valid base URL (RFC 3986, 6.2), only for comparisons."""
    parts = urlsplit(base_url)
    host = _normal_host(parts.hostname or "")
    host = f"[{host}]" if ":" in host else host
    implied = 443 if parts.scheme == "https" else 80
    port = "" if parts.port in {None, implied} else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}{_normal_path(parts.path)}"


def _normal_host(host: str) -> str:
    """The host in lower case, without a trailing dot; addresses in their shortest form, `127.0.0.1` for localhost."""
    name = host.lower().removesuffix(".")
    try:
        address = ipaddress.ip_address(name if (number := _old_ipv4(name)) is None else number)
    except ValueError:
        return _HERE if name == "localhost" else name
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    address = mapped or address
    return _HERE if address.is_unspecified or str(address) in {_HERE, "::1"} else str(address)


def _old_ipv4(name: str) -> int | None:
    """The IPv4 address as a number, for all spellings of resolvers (127.1, 0x7f000001, 0177.0.0.1); None for a name."""
    parts, address = name.split("."), 0
    if len(parts) > 4:
        return None
    for place, part in enumerate(parts):
        if not re.fullmatch("0x[0-9a-f]+|0[0-7]*|[1-9][0-9]*", part):
            return None
        number = int(part, 16 if "x" in part else 8 if part[0] == "0" else 10)
        size = 4 - place if place == len(parts) - 1 else 1  # the last part fills all remaining bytes
        if number >= 256**size:
            return None
        address += number << 8 * (4 - place - size)
    return address


def _normal_path(path: str) -> str:
    """The path with resolved dot segments, minimal percent-encoding, and no trailing slash."""

    def spelled(found: re.Match[str]) -> str:
        character = chr(int(found[1], 16))
        return character if re.fullmatch("[A-Za-z0-9._~-]", character) else found[0].upper()

    kept: list[str] = []
    for segment in re.sub("%([0-9A-Fa-f]{2})", spelled, path).split("/"):
        if segment == "..":
            del kept[max(len(kept) - 1, 1) :]  # keep the empty segment before the first slash
        elif segment != ".":
            kept.append(segment)
    return "/".join(kept).rstrip("/")


def validate_proxy(text: str) -> str:
    """The URL of a proxy. Raises ValueError, without the URL, which may contain a password."""
    try:
        parts = _split(text)
    except ValueError:
        parts = None
    if parts is None or parts.path.strip("/") or "?" in text or "#" in text:
        raise ValueError("is not a supported proxy URL; write it as http://host:port")
    return text


def _split(text: str) -> SplitResult:
    """Split an http(s) URL with a valid host. Raises ValueError."""
    if not text.isascii() or not text.isprintable() or not _NOT_IN_URL.isdisjoint(text):
        raise ValueError(
            "contains a character that is not allowed in a URL; write a non-ASCII host name as xn--…"
        )
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError("is not a valid URL; write it as https://host/path") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("is not a full URL; write it as https://host/path")
    if not _is_host(parts.hostname, bracketed="[" in parts.netloc):
        raise ValueError("contains an invalid host name; write it as https://host/path")
    written = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    written += "" if port is None else f":{port}"
    if parts.netloc.rpartition("@")[2].lower() != written:
        raise ValueError("is not a valid URL; write it as https://host/path")
    if port == 0:
        raise ValueError("contains port 0; use the port that the server listens on")
    return parts


def _is_host(host: str, *, bracketed: bool) -> bool:
    """Whether a text is a DNS name or an IP address. Only IPv6 addresses must be in brackets."""
    if not bracketed:
        return re.fullmatch(_NAME, host) is not None
    try:
        return ipaddress.ip_address(host).version == 6
    except ValueError:
        return False
