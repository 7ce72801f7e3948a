"""A request in a record: what it asked for, with names in the places of its secrets."""

import json
from collections.abc import Mapping
from typing import Any

from balcli.evidence.names import GivenNames, Names
from balcli.http.client import Request
from balcli.secret import Secret
from balcli.urls import display_url


def written(request: Request, names: Names | GivenNames) -> dict[str, Any]:
    """The request as a plain object. A value is null where nobody said that it is no secret."""
    loggable = request.endpoint.loggable_params
    return {
        "method": request.endpoint.method,
        "url": f"{display_url(request.base_url)}{request.endpoint.path}",
        "query": [[name, _loggable(value, names, known=name in loggable)] for name, value in request.query],
        "headers": {
            name: _loggable(value, names, known=name in loggable) for name, value in request.headers.items()
        },
        "body": None
        if request.body is None
        else {key: _loggable(value, names, known=key in loggable) for key, value in request.body.items()},
    }


def key(written_request: Mapping[str, Any]) -> str:
    """What tells a request from the others of its run, as a text with the names of its secrets in it."""
    return json.dumps(written_request, sort_keys=True)


def _loggable(value: object, names: Names | GivenNames, *, known: bool) -> Any:
    """A value of a request: by its name if it has one, as it stands if it is known to be no secret, else null."""
    if isinstance(value, Secret):
        return names.of(value)
    if isinstance(value, Mapping):
        return {name: _loggable(item, names, known=known) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_loggable(item, names, known=known) for item in value]
    if not isinstance(value, str):
        return value if known else None
    return names.stands_for(value) or (value if known else None)
