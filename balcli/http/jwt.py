"""The expiry of a JSON Web Token. Nothing else is read, and nothing is verified: that is up to the provider."""

import re
from binascii import a2b_base64
from datetime import UTC, datetime
from typing import Final

from balcli.errors import BalcliError
from balcli.http.strictjson import Number, decode
from balcli.secret import Secret, reveal

_MAX_TIMESTAMP: Final = 253_402_300_799  # the end of the year 9999


def expiry(secret: Secret) -> datetime | None:
    """The `exp` of a JWT, with or without `Bearer ` (RFC 7519, 4.1.4); None for any other text."""
    text = reveal(secret)
    found = text.count(".") == 2 and re.fullmatch(r"(?:Bearer )?[\w-]+\.([\w-]+)\.[\w-]*", text, re.ASCII)
    if not found:
        return None
    try:
        raw = a2b_base64(found[1].replace("-", "+").replace("_", "/") + "=" * (-len(found[1]) % 4))
        claims = decode(raw)
    except (BalcliError, ValueError):
        return None
    end = claims.get("exp") if isinstance(claims, dict) else None
    if not isinstance(end, Number) or not 0 < float(end) <= _MAX_TIMESTAMP:
        return None
    return datetime.fromtimestamp(int(float(end)), UTC)
