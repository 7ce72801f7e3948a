"""The bounds and units of request settings, and the order of rows."""

from typing import Final, Literal, TypeAlias

MOST_SECONDS: Final = 86_400.0
COMMAND_SECONDS: Final = 10.0
MOST_COMMAND_SECONDS: Final = 120.0
MOST_RETRIES: Final = 100
MOST_JOBS: Final = 500

Order: TypeAlias = Literal["asset", "account", "total"]
"""The values of `--sort`. By default, rows are in the profile's order of accounts, then by asset."""


_MILLISECONDS_IN: Final = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000}


def parse_seconds(text: str, plain: str = "s") -> float:
    """The seconds of a duration such as `500ms`, `5s`, `2m` or `1h`. `plain` is the unit of a plain number.

    Raises ValueError with the cure.
    """
    number = text.rstrip("hms")
    unit = text[len(number) :]
    # A plain number can have any form of a float. With a unit, only the simplest form.
    usable = number.isascii() and "_" not in number and number.strip() == number
    if unit:
        usable = usable and number.replace(".", "", 1).isdigit()
    try:
        return float(number if usable else "") * _MILLISECONDS_IN[unit or plain] / 1000
    except (ValueError, KeyError):
        raise ValueError(
            "is not a duration; use a number with an optional unit (ms, s, m, h), such as 500ms or 2m"
        ) from None


CA_VARIABLES: Final = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
"""The variables of the real environment for CA certificates. The first one that is set applies."""
