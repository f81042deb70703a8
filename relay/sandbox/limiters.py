"""Rate limiters as APIs have them: a request and the time in, accepted or refused out. No I/O.

    token_bucket      `per_second` tokens a second are added, up to `burst`; a request takes one
    fixed_window      `limit` requests in each window of `window_s` seconds
    sliding_window    `limit` requests in any `window_s` seconds
    concurrency       `limit` requests at the same time

Each may count all requests together, those of each user, or those of each route.
"""

import math
from abc import ABC, abstractmethod
from collections import OrderedDict, deque
from collections.abc import Mapping
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

import orjson
from pydantic import BaseModel, ConfigDict, Field, model_validator

_KEYS_MAX = 100_000


class LimiterKind(StrEnum):
    """See the module's docstring."""

    TOKEN_BUCKET = "token_bucket"  # noqa: S105 - of a bucket, not of a caller
    FIXED_WINDOW = "fixed_window"
    SLIDING_WINDOW = "sliding_window"
    CONCURRENCY = "concurrency"


class CountedBy(StrEnum):
    """Which requests share a limit."""

    ALL = "all"
    USER = "user"
    ROUTE = "route"


# What `LimiterRule._complete` checks, for the OpenAPI document.
_FIELDS_OF_KIND: dict[str, Any] = {
    "anyOf": [
        {
            "required": ["per_second"],
            "properties": {
                "kind": {"const": "token_bucket"},
                "per_second": {"type": "number"},
                "limit": {"type": "null"},
            },
        },
        {
            "required": ["limit"],
            "properties": {
                "kind": {"enum": ["fixed_window", "sliding_window", "concurrency"]},
                "limit": {"type": "integer"},
                "per_second": {"type": "null"},
            },
        },
    ]
}


class LimiterRule(BaseModel):
    """A rate limiter in front of the stand-ins."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, json_schema_extra=_FIELDS_OF_KIND
    )

    kind: LimiterKind
    per_second: float | None = Field(default=None, gt=0, description="Of a token bucket.")
    burst: int = Field(default=1, ge=1, description="Most tokens of a token bucket.")
    limit: int | None = Field(default=None, ge=1, description="Of windows and of concurrency.")
    window_s: float = Field(default=1.0, gt=0, description="Length of a window in seconds.")
    by: CountedBy = Field(
        default=CountedBy.ALL, description="`all`, `user` or `route`: which share a limit."
    )
    path: str | None = Field(default=None, description="Only paths that match this glob.")
    retry_after: bool = Field(default=True, description="Whether a refusal has `Retry-After`.")
    rate_limit_headers: bool = Field(
        default=False, description="Whether every answer has `RateLimit-Remaining` and `-Reset`."
    )

    @model_validator(mode="after")
    def _complete(self) -> "LimiterRule":
        if (self.kind is LimiterKind.TOKEN_BUCKET) != (self.per_second is not None):
            raise ValueError("a token_bucket needs per_second, no other kind takes it")
        if (self.kind is LimiterKind.TOKEN_BUCKET) == (self.limit is not None):
            raise ValueError("windows and concurrency need limit, a token_bucket takes none")
        return self


class Taken(NamedTuple):
    """Whether a request is accepted; what is left, and in how many seconds more is."""

    accepted: bool
    remaining: int
    reset_s: float


class Limiter:
    """One rule at work. Time in seconds of any steady clock."""

    def __init__(self, rule: LimiterRule) -> None:
        self.rule = rule
        self.accepted = 0
        self.refused = 0
        self._models: OrderedDict[bytes, _Model] = OrderedDict()

    def take(self, path: str, body: bytes, now: float) -> "Pass | None":
        """What becomes of a request; None when the rule is not about it."""
        rule = self.rule
        if rule.path is not None and not fnmatchcase(path, rule.path):
            return None
        model = self._model(_key(rule.by, path, body), now)
        taken = model.take(now)
        if taken.accepted:
            self.accepted += 1
        else:
            self.refused += 1
        return Pass(taken, _headers(rule, taken), model)

    def _model(self, key: bytes, now: float) -> "_Model":
        model = self._models.get(key)
        if model is None:
            model = self._models[key] = _made(self.rule, now)
            if len(self._models) > _KEYS_MAX:
                self._models.popitem(last=False)
        return model


class Pass(NamedTuple):
    """A request before a limiter. `done` is due when an accepted one was answered."""

    taken: Taken
    headers: Mapping[str, str]
    model: "_Model"

    def done(self) -> None:
        """The request was answered."""
        if self.taken.accepted:
            self.model.done()


def _made(rule: LimiterRule, now: float) -> "_Model":
    match rule.kind:
        case LimiterKind.TOKEN_BUCKET:
            return _TokenBucket(rule.per_second or 1.0, rule.burst, now)
        case LimiterKind.FIXED_WINDOW:
            return _FixedWindow(rule.limit or 1, rule.window_s)
        case LimiterKind.SLIDING_WINDOW:
            return _SlidingWindow(rule.limit or 1, rule.window_s)
        case LimiterKind.CONCURRENCY:
            return _Concurrency(rule.limit or 1)


class _Model(ABC):
    @abstractmethod
    def take(self, now: float, /) -> Taken: ...

    def done(self) -> None:  # noqa: B027 - only concurrency counts it
        """A request that was accepted is over."""


class _TokenBucket(_Model):
    def __init__(self, per_second: float, burst: int, now: float) -> None:
        self._per_second = per_second
        self._burst = burst
        self._tokens = float(burst)
        self._at = now

    def take(self, now: float) -> Taken:
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._per_second)
        self._at = now
        # A token is whole or it is not there: a bucket of 0.9 refuses, and says when it has one.
        accepted = self._tokens >= 1
        self._tokens -= accepted
        short = max(0.0, 1 - self._tokens)
        return Taken(accepted, int(self._tokens), short / self._per_second)


class _FixedWindow(_Model):
    def __init__(self, limit: int, window_s: float) -> None:
        self._limit = limit
        self._window_s = window_s
        self._window = -1
        self._used = 0

    def take(self, now: float) -> Taken:
        window = int(now // self._window_s)
        if window != self._window:
            self._window, self._used = window, 0
        accepted = self._used < self._limit
        self._used += accepted
        return Taken(accepted, self._limit - self._used, (window + 1) * self._window_s - now)


class _SlidingWindow(_Model):
    def __init__(self, limit: int, window_s: float) -> None:
        self._limit = limit
        self._window_s = window_s
        self._times: deque[float] = deque()

    def take(self, now: float) -> Taken:
        while self._times and self._times[0] <= now - self._window_s:
            self._times.popleft()
        accepted = len(self._times) < self._limit
        if accepted:
            self._times.append(now)
        reset_s = self._times[0] + self._window_s - now
        return Taken(accepted, self._limit - len(self._times), reset_s)


class _Concurrency(_Model):
    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._busy = 0

    def take(self, _now: float) -> Taken:
        accepted = self._busy < self._limit
        self._busy += accepted
        return Taken(accepted, self._limit - self._busy, 0.0)

    def done(self) -> None:
        self._busy -= 1


def _key(by: CountedBy, path: str, body: bytes) -> bytes:
    match by:
        case CountedBy.ALL:
            return b""
        case CountedBy.ROUTE:
            return path.rpartition("/")[2].encode()
        case CountedBy.USER:
            try:
                document = orjson.loads(body)
            except orjson.JSONDecodeError:
                return path.encode()
            who = document.get("$user_identifiers") if isinstance(document, dict) else None
            return path.encode() if who is None else orjson.dumps(who)


def _headers(rule: LimiterRule, taken: Taken) -> Mapping[str, str]:
    headers = {}
    # Both headers are whole seconds: a client that waits so long is not refused again for that.
    seconds = str(max(1, math.ceil(taken.reset_s)))
    if rule.retry_after and not taken.accepted:
        headers["retry-after"] = seconds
    if rule.rate_limit_headers:
        headers["ratelimit-remaining"] = str(taken.remaining)
        headers["ratelimit-reset"] = seconds
    return headers
