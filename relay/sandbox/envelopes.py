"""The answers of the mediarithmics API: success, list and error envelopes as Starlette responses.

The shapes are documented except where a comment says *inferred*.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from starlette.responses import Response

NOT_FOUND = "Resource Not Found"

# Inferred: `error_code` exists, its values are not documented.
ERROR_CODES: Mapping[int, str] = {
    400: "BAD_REQUEST",
    401: "UNAUTHORIZED",
    403: "FORBIDDEN",
    404: "RESOURCE_NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    409: "CONFLICT",
    413: "PAYLOAD_TOO_LARGE",
    415: "UNSUPPORTED_MEDIA_TYPE",
    422: "UNPROCESSABLE_ENTITY",
    429: "TOO_MANY_REQUESTS",
    500: "INTERNAL_SERVER_ERROR",
    502: "BAD_GATEWAY",
    503: "SERVICE_UNAVAILABLE",
    504: "GATEWAY_TIMEOUT",
}


def ok(data: Any) -> Response:
    """A single result."""
    return _json(200, {"status": "ok", "data": data})


def listing(data: Sequence[Any], first_result: int, max_results: int) -> Response:
    """One page of `data`, which is the whole result."""
    page = data[first_result : first_result + max_results]
    return _json(
        200,
        {
            "status": "ok",
            "count": len(page),
            "total": len(data),
            "first_result": first_result,
            "max_results": max_results,
            "data": page,
        },
    )


def error(
    status: int,
    text: str,
    error_id: str,
    *,
    fields: Sequence[tuple[str, str]] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """A refusal. `fields` are pairs of a field and what is wrong with it.

    The key `errors` is the sandbox's own: the vendor shows one text only.
    """
    document: dict[str, Any] = {
        "status": "error",
        "error": text,
        "error_id": error_id,
        "error_code": ERROR_CODES.get(status, f"HTTP_{status}"),
    }
    if fields:
        document["errors"] = [{"field": field, "reason": reason} for field, reason in fields]
    return _json(status, document, headers)


def _json(status: int, document: Any, headers: Mapping[str, str] | None = None) -> Response:
    return Response(
        orjson.dumps(document),
        status_code=status,
        headers=None if headers is None else dict(headers),
        media_type="application/json",
    )
