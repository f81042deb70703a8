"""Which fault a request meets: plan, request and chance in, a decision out. No I/O.

A plan is a list of rules; the first that applies to a request and whose chance comes up wins.
The chance is drawn from the generator that is handed in, once for each rule with a rate below 1
that applies, so a seed and an order of requests give the same faults every time.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from relay.sandbox.limiters import LimiterRule

Milliseconds = Annotated[int, Field(ge=0, le=3_600_000)]
Delay = Milliseconds | tuple[Milliseconds, Milliseconds]


class FaultKind(StrEnum):
    """What happens to a request that a rule hits."""

    STATUS = "status"
    """Answered with `status`, and not stored unless `after_storing`."""

    LOST_ANSWER = "lost_answer"
    """Stored, then the connection is closed without an answer."""

    CLOSED = "closed"
    """The connection is closed without an answer, and nothing is stored."""

    SLOW = "slow"
    """Stored at once, answered after `delay_ms`."""


# What `FaultRule._complete` checks, for the OpenAPI document.
_STATUS_WITH_KIND: dict[str, Any] = {
    "anyOf": [
        {
            "required": ["status"],
            "properties": {"kind": {"const": "status"}, "status": {"type": "integer"}},
        },
        {
            "properties": {
                "kind": {"enum": ["lost_answer", "closed", "slow"]},
                "status": {"type": "null"},
            }
        },
    ]
}


class FaultRule(BaseModel):
    """One kind of fault, how often, and for which requests."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, json_schema_extra=_STATUS_WITH_KIND
    )

    kind: FaultKind
    rate: float = Field(default=1.0, ge=0, le=1, description="Chance for each request in scope.")
    status: int | None = Field(default=None, ge=400, le=599)
    retry_after_s: int | None = Field(
        default=None, ge=0, le=86_400, description="Sent as `Retry-After` with the status."
    )
    after_storing: bool = Field(default=False, description="Store first, then answer the status.")
    delay_ms: Delay = Field(default=0, description="Milliseconds, or a range to draw from.")
    method: str | None = Field(default=None, description="Only requests with this method.")
    path: str | None = Field(default=None, description="Only paths that match this glob.")
    contains: str | None = Field(default=None, description="Only bodies that contain this text.")
    skip: int = Field(default=0, ge=0, description="Let this many requests in scope pass first.")
    times: int | None = Field(default=None, ge=0, description="Stop after so many hits.")

    @model_validator(mode="after")
    def _complete(self) -> "FaultRule":
        if (self.kind is FaultKind.STATUS) != (self.status is not None):
            raise ValueError("a rule of kind status needs a status, no other kind takes one")
        return self


class FaultPlan(BaseModel):
    """The faults in force. The empty plan has none."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    seed: int = 0
    latency_ms: Delay = Field(
        default=0, description="Waited before each request is processed: fixed, or a range."
    )
    rules: tuple[FaultRule, ...] = ()
    limiters: tuple[LimiterRule, ...] = Field(
        default=(), description="Rate limiters; a request passes each of them in turn."
    )


class Tally(NamedTuple):
    """How often a rule was in scope, and how often it hit."""

    in_scope: int = 0
    hits: int = 0


class Described(NamedTuple):
    """What a rule's scope is decided on."""

    method: str
    path: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Decision:
    """What happens to one request: `rule` is an index into the plan, or None for no fault."""

    latency_ms: float = 0
    rule: int | None = None
    delay_ms: float = 0
    in_scope: tuple[int, ...] = ()


NO_FAULT = Decision()


def decide(
    plan: FaultPlan, request: Described, tallies: Sequence[Tally], rng: random.Random
) -> Decision:
    """The fate of `request` under `plan`, whose rules have done what `tallies` say."""
    latency_ms = _draw(plan.latency_ms, rng)
    in_scope: list[int] = []
    for index, rule in enumerate(plan.rules):
        if not _applies(rule, request):
            continue
        in_scope.append(index)
        tally = tallies[index]
        # Of the rules that apply the first that hits decides. One that lets this request pass (it
        # skips some, has hit often enough, or the dice say so) leaves it to the next.
        if tally.in_scope < rule.skip or (rule.times is not None and tally.hits >= rule.times):
            continue
        if rule.rate >= 1 or rng.random() < rule.rate:
            return Decision(latency_ms, index, _draw(rule.delay_ms, rng), tuple(in_scope))
    return Decision(latency_ms, None, 0, tuple(in_scope))


def tallied(tallies: Sequence[Tally], decision: Decision) -> list[Tally]:
    """The tallies after `decision`."""
    after = list(tallies)
    for index in decision.in_scope:
        seen, hits = after[index]
        after[index] = Tally(seen + 1, hits + (index == decision.rule))
    return after


def explain(error: ValidationError) -> str:
    """What is wrong with a plan that could not be read, field by field, in one line."""
    found = error.errors(include_url=False, include_input=False, include_context=False)
    return "; ".join(f"{'.'.join(map(str, e['loc'])) or 'body'}: {e['msg']}" for e in found)


def _applies(rule: FaultRule, request: Described) -> bool:
    return (
        (rule.method is None or rule.method == request.method)
        and (rule.path is None or fnmatchcase(request.path, rule.path))
        and (rule.contains is None or rule.contains.encode() in request.body)
    )


def _draw(delay: Delay, rng: random.Random) -> float:
    return delay if isinstance(delay, int) else rng.uniform(*delay)
