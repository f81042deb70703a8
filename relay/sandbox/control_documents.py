"""What the sandbox's own API takes and answers with, as models."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from relay.sandbox.faults import FaultPlan

ACTIVITIES_SHOWN = 100
Count = Annotated[int, Field(ge=0)]


class Summary(BaseModel):
    """Counts of everything that the sandbox saw."""

    activities: Count = Field(description="Without those whose `$unique_key` was known.")
    events: Count
    users: Count
    merged_users: Count
    duplicates: Count = Field(description="Activities whose `$unique_key` was known.")
    duplicate_events: Count = Field(
        description="Events that came again under another `$unique_key`, known by their number."
    )
    out_of_order: Count = Field(
        description="Events that were stored for the first time after a later one of their user."
    )
    profile_updates: Count
    choice_updates: Count
    removed_events: dict[str, Count]
    order_breaks: list[dict[str, Any]] = Field(description="The first of those out of order.")
    refused: Count = Field(description="Requests that were not valid, without injected faults.")
    requests: Count
    by_status: dict[str, Count]
    answers_lost: Count
    faults: dict[str, Count] = Field(description="Injected ones, by kind.")
    log_dropped: Count
    clock_ms: Count


class RuleDone(BaseModel):
    """What a rule of the plan did."""

    in_scope: Count
    hits: Count


class LimiterDone(BaseModel):
    """What a limiter of the plan did."""

    accepted: Count
    refused: Count


class FaultsInForce(BaseModel):
    """The plan in force, and what each of its rules and limiters did."""

    plan: FaultPlan
    rules: list[RuleDone]
    limiters: list[LimiterDone]


class ClockMove(BaseModel):
    """How far the sandbox's time moves on."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    advance_ms: int = Field(ge=0, le=10 * 365 * 24 * 3_600_000)


class TimeNow(BaseModel):
    """The sandbox's time."""

    now_ms: Count


class Refused(BaseModel):
    """Why a call was not taken."""

    error: str


class HowMany(BaseModel):
    """How many activities are shown."""

    limit: int = Field(default=ACTIVITIES_SHOWN, ge=0, le=999_999_999)
