"""Sessions: `IN_SESSION` posts of one user in, closed sessions out when time or referrer says so.

Documented: a session closes after 30 minutes without an event or when an event comes with a
referrer of another domain, and the activity exists from then on. Inferred: sessions are kept by
user, type and channel; inactivity is measured on the platform's clock, not on `$ts`; the closed
session has the identifiers and the keys of all its posts, later ones winning.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from relay.sandbox.validation import id_text, whole

MILLISECONDS = 1000


class SessionKey(NamedTuple):
    """What posts of one session have in common, beside their user."""

    type: str
    channel: str


class Visited(NamedTuple):
    """The domains that a post speaks of: where it happened, and where the visitor came from."""

    site: str | None
    referrer: str | None


@dataclass(slots=True)
class Session:
    """Posts by their numbers, in order of arrival."""

    key: SessionKey
    last_ms: int
    site: str | None
    posts: list[int] = field(default_factory=list)
    ended: bool = False

    def is_open(self, now_ms: int, timeout_ms: int) -> bool:
        """Whether another post would still join."""
        return not self.ended and now_ms - self.last_ms < timeout_ms


def join(
    sessions: list[Session], key: SessionKey, visited: Visited, now_ms: int, timeout_ms: int
) -> Session:
    """The session among `sessions` that a post of now belongs to; a new one is appended."""
    # A post joins the newest session of its type and channel, unless that has timed out, has ended,
    # or the user comes from another site: that ends it, and begins another.
    current = next((s for s in reversed(sessions) if s.key == key), None)
    if current is not None and current.is_open(now_ms, timeout_ms):
        if not _from_elsewhere(visited, current.site):
            current.last_ms = now_ms
            current.site = visited.site or current.site
            return current
        current.ended = True
    session = Session(key, now_ms, visited.site)
    sessions.append(session)
    return session


def key_of(activity: Mapping[str, Any]) -> SessionKey:
    """The session that a valid activity belongs to."""
    channel = activity.get("$site_id")
    if channel is None:
        channel = activity.get("$app_id")
    return SessionKey(activity["$type"], "" if channel is None else id_text(channel))


def visited_by(activity: Mapping[str, Any]) -> Visited:
    """The domains in the events' `$url` and `$referrer`: the first of each."""
    site: str | None = None
    referrer: str | None = None
    for event in activity["$events"]:
        properties = event.get("$properties") or {}
        site = site or _domain(properties.get("$url"))
        referrer = referrer or _domain(properties.get("$referrer"))
    return Visited(site, referrer)


def aggregated(posts: Sequence[Mapping[str, Any]], status: str) -> dict[str, Any]:
    """The one activity of a session's posts; `status` is its `$session_status`."""
    result: dict[str, Any] = {}
    identifiers: list[Any] = []
    events: list[Any] = []
    for post in posts:
        result.update(post)
        identifiers += [i for i in post.get("$user_identifiers") or () if i not in identifiers]
        events += post["$events"]
    result["$session_status"] = status
    result["$events"] = events
    if identifiers:
        result["$user_identifiers"] = identifiers
    for field_of_first in ("$ts", "$unique_key"):
        if posts[0].get(field_of_first) is not None:
            result[field_of_first] = posts[0][field_of_first]
    times = [ts for event in events if (ts := whole(event.get("$ts"))) is not None]
    # Inferred: seconds, from the vendor's example.
    result["$session_duration"] = (max(times) - min(times)) // MILLISECONDS if times else 0
    return result


def _from_elsewhere(visited: Visited, site: str | None) -> bool:
    here = visited.site or site
    return visited.referrer is not None and here is not None and visited.referrer != here


def _domain(url: Any) -> str | None:
    if not isinstance(url, str):
        return None
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None
