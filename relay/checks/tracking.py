"""The tracking API, its token and the datamart, asked by the road that activities take.

The probe posts a body that is no JSON to the endpoint of the activities. There is nothing in it
that could be stored: an API that lets us in can only complain about it.
"""

from collections.abc import AsyncIterator, Mapping

from relay.checks.finding import Finding, Level, failure, ok, warning
from relay.errors import DestinationError, RelayError
from relay.model import Answer, Request
from relay.settings.tracking import TrackingSettings
from relay.stream.mapping.requests import activities_path
from relay.stream.policy import TRACKING
from relay.stream.sending.open_wire import open_wire

_NO_JSON = b"{"
_COMPLAINS = (Level.OK, "answers and takes the token", None)
_MEANINGS: dict[int, tuple[Level, str, str | None]] = {
    400: _COMPLAINS,
    415: _COMPLAINS,
    422: _COMPLAINS,
    401: (Level.FAIL, "the token is refused", "check tracking.api_token"),
    403: (Level.FAIL, "no access", "give the token's account a role on the datamart"),
    404: (Level.FAIL, "not found", "check tracking.datamart_id and tracking.base_url"),
    429: (Level.WARN, "answers, and asks to slow down", "relay would wait as long as it asks"),
}
_CLASSES: dict[int, tuple[Level, str, str | None]] = {
    1: (Level.FAIL, "answers strangely", "is that the tracking API?"),
    2: (Level.WARN, "accepts what is no JSON", "is that the tracking API?"),
    3: (Level.FAIL, "sends us elsewhere", "check tracking.base_url"),
    4: (Level.FAIL, "refuses", "check tracking.base_url"),
    5: (Level.WARN, "answers, but not well", "relay would hold the stream and try again"),
}


async def check_destinations(sending: Mapping[str, TrackingSettings]) -> AsyncIterator[Finding]:
    """A finding for each destination, by its name."""
    for name, one in sending.items():
        yield await check_tracking(one, name if len(sending) > 1 else "")


async def check_tracking(tracking: TrackingSettings, name: str = "") -> Finding:
    """Whether the API answers, takes the token, and knows the datamart.

    `name` is that of the destination, where there are several.
    """
    where = f"{name}: " if name else ""
    where += f"{tracking.base_url}, datamart {tracking.datamart_id}"
    try:
        wire = open_wire(tracking, tracking.authorization())
        try:
            path = activities_path(tracking.datamart_id)
            answer = await wire.send(Request("POST", path, _NO_JSON))
        finally:
            await wire.close()
    except RelayError as error:
        return failure("api", error)
    return judged(answer, where, tracking.section)


def judged(answer: Answer, where: str, section: str = TRACKING) -> Finding:
    """What the answer to the probe means; `section` is where its settings stand."""
    # The exact status where it says something of its own, else its class. 400, 415 and 422 are the
    # good ones: the body is complained about, and not the token, which would be a 401.
    if answer.status == 0:
        said = f"no answer ({answer.no_answer}) {answer.detail}".rstrip()
        hint: str | None = "check tracking.base_url, the network, a proxy"
        level, text = Level.FAIL, said
    else:
        known = _MEANINGS.get(answer.status) or _CLASSES[answer.status // 100]
        level, text, hint = known
        text += f" ({answer.status})"
    hint = None if hint is None else hint.replace(f"{TRACKING}.", f"{section}.")
    match level:
        case Level.OK:
            return ok("api", f"{where}: {text}")
        case Level.WARN:
            return warning("api", f"{where}: {text}", hint)
        case Level.FAIL:
            return failure("api", DestinationError(f"{where}: {text}", hint=hint))
