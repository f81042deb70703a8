"""How records are delivered: order, pace, retries, memory, and when to stop."""

import re
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from relay.model import VerdictKind
from relay.road.consuming.intake import IntakePolicy
from relay.road.custody import CustodyPolicy
from relay.road.loop import RoadPolicy
from relay.road.status import ReportPolicy
from relay.settings.section import Section
from relay.stream.engine import EnginePolicy, OnDeadLetter
from relay.stream.interpret import OrderBy
from relay.stream.mapping.requests import activities_path
from relay.stream.sending.coalescing import CoalescingPolicy
from relay.stream.sending.destination import DestinationPolicy
from relay.stream.sending.gate import GatePolicy
from relay.stream.sending.limit import LimitPolicy
from relay.stream.sending.pacing import RatePolicy
from relay.stream.sending.retries import RetryPolicy
from relay.stream.sending.verdicts import DEFAULT_RULES, Rule, statuses
from relay.telemetry.redact import redact


def _statuses(text: str) -> str:
    statuses(text)
    return text


def _pattern(text: str | None) -> str | None:
    if text is not None:
        try:
            re.compile(text)
        except re.error as error:
            raise ValueError(f"is not a regular expression: {error}") from error
    return text


class RetrySettings(Section):
    """Trying again. A record is given up after both limits, and only while others succeed."""

    base_s: float = Field(
        0.2, gt=0, le=60, description="Longest wait before the first retry; it doubles from there."
    )
    cap_s: float = Field(30.0, gt=0, le=3600, description="Longest wait before any retry.")
    attempts_max: int = Field(
        8, ge=1, le=1000, description="Counted failures after which a record may be given up."
    )
    age_max_s: float = Field(
        600.0,
        ge=0,
        le=604_800,
        description="Time since its first attempt after which a record may be given up.",
    )


class CoalesceSettings(Section):
    """Waiting events of one user travelling as one activity, where the platform joins them anyway.

    That is the session status `IN_SESSION`; others never travel together.
    """

    events_max: int = Field(
        50, ge=1, le=1000, description="Most events in one activity; 1 turns coalescing off."
    )
    span_s: float = Field(
        60.0, ge=0, le=1800, description="Longest time between the first and the last of them."
    )
    bytes_max: int = Field(
        262_144, ge=1024, le=10_485_760, description="Most bytes of events in one activity."
    )


class VerdictSettings(Section):
    """A rule of your own about answers; the first rule that matches decides, yours before ours."""

    verdict: VerdictKind = Field(
        description="`delivered`, `throttled`, `unavailable`, `refused` or `misconfigured`."
    )
    status: Annotated[str, AfterValidator(_statuses)] = Field(
        description="Statuses it is about: `429`, `5xx`, `500-504`, `none` for no answer; "
        "several with commas."
    )
    header: str | None = Field(None, description="Name of a header that the answer must have.")
    body: Annotated[str | None, AfterValidator(_pattern)] = Field(
        None, description="Regular expression that must be found in the body."
    )

    def rule(self) -> Rule:
        """What `judge` goes by."""
        return Rule(
            self.verdict,
            statuses(self.status),
            "by a rule of the settings",
            None if self.header is None else self.header.lower(),
            None if self.body is None else re.compile(self.body.encode()),
        )


class DeliverySettings(Section):
    """How records are delivered."""

    order_by: OrderBy = Field(
        OrderBy.USER,
        description="What keeps its order: `user` (by the event's identifiers), `key` (of the "
        "record), `partition`, or `none`.",
    )
    max_in_flight: int = Field(
        256, ge=1, le=4096, description="Most requests under way at a time, whatever the API takes."
    )
    fixed_limit: bool = Field(
        False,
        description="Keep exactly `max_in_flight` instead of finding out what the API takes.",
    )
    rate_per_second: float | None = Field(
        None, gt=0, description="Most requests a second; without it the API sets the pace."
    )
    rate_shared: bool = Field(
        False,
        description="Whether `rate_per_second` is for the whole consumer group: each member then "
        "takes the share that its share of the partitions is.",
    )
    retry: RetrySettings = Field(default_factory=RetrySettings, description="Trying again.")
    down_after_failures: int = Field(
        5,
        ge=1,
        le=1000,
        description="Failures in a row, without a success, after which the API counts as down: "
        "then one probe at a time is sent and no attempt is counted.",
    )
    probe_every_max_s: float = Field(
        15.0, gt=0, le=600, description="Longest wait between two probes of an API that is down."
    )
    pause_max_s: float = Field(
        300.0, gt=0, le=86_400, description="Longest pause that a `Retry-After` can ask for."
    )
    verdicts: tuple[VerdictSettings, ...] = Field(
        (), description="Rules about answers that stand before the built-in ones."
    )
    coalesce: CoalesceSettings = Field(
        default_factory=CoalesceSettings, description="Events travelling together."
    )
    memory_records_max: int = Field(
        10_000, ge=1, le=1_000_000, description="Most records in memory without a fate."
    )
    memory_bytes_max: int = Field(
        67_108_864, ge=1_048_576, description="Most bytes of such records, about."
    )
    user_records_max: int = Field(
        1_000,
        ge=1,
        le=1_000_000,
        description="Most records of one user in memory; beyond, their partition is paused.",
    )
    on_dead_letter: OnDeadLetter = Field(
        OnDeadLetter.CONTINUE,
        description="What becomes of a user's later records when one was dead-lettered: "
        "`continue` to deliver them, or `park_user` to let them follow it.",
    )
    park_s: float = Field(3600.0, gt=0, le=604_800, description="For how long a user stays parked.")
    duplicates_window: int = Field(
        0,
        ge=0,
        le=10_000_000,
        description="How many event ids to remember, to skip what a producer sent twice; 0: none.",
    )
    offset_map: bool = Field(
        True,
        description="Store in each commit what is finished beyond it, so that a restart does not "
        "repeat it.",
    )
    commit_every_s: float = Field(
        0.5,
        gt=0,
        le=60,
        description="How often to commit. What was delivered since then is repeated after a crash.",
    )
    stop_deadline_s: float = Field(
        25.0,
        ge=0,
        le=3600,
        description="How long a stop may take in all: landing, committing, leaving the group. Keep "
        "it 5 s below the platform's grace period (Kubernetes: 30 s).",
    )
    revoke_budget_s: float = Field(
        20.0,
        ge=0,
        le=3600,
        description="How long a partition that moves to another member may wait for answers; all "
        "others go on. Below kafka.rebalance_timeout_s.",
    )
    stuck_after_s: float = Field(
        300.0,
        gt=0,
        description="After how long without progress, and without a reason, /livez fails.",
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.user_records_max > self.memory_records_max:
            raise ValueError("user_records_max exceeds memory_records_max, which would always win")
        return self

    def engine(self, datamart_id: str) -> EnginePolicy:
        """What the engine goes by."""
        return EnginePolicy(
            destination=DestinationPolicy(
                gate=GatePolicy(
                    down_after_failures=self.down_after_failures,
                    probe_max_s=self.probe_every_max_s,
                    pause_max_s=self.pause_max_s,
                ),
                limit=LimitPolicy(maximum=self.max_in_flight, fixed=self.fixed_limit),
                rate=RatePolicy(self.rate_per_second, shared=self.rate_shared),
                retry=RetryPolicy(
                    base_s=self.retry.base_s,
                    cap_s=self.retry.cap_s,
                    attempts_max=self.retry.attempts_max,
                    age_max_s=self.retry.age_max_s,
                ),
            ),
            custody=CustodyPolicy(
                intake=IntakePolicy(
                    records_max=self.memory_records_max,
                    bytes_max=self.memory_bytes_max,
                    lane_records_max=self.user_records_max,
                ),
                offset_map=self.offset_map,
            ),
            coalescing=CoalescingPolicy(
                events_max=self.coalesce.events_max,
                span_ms=int(self.coalesce.span_s * 1000),
                bytes_max=self.coalesce.bytes_max,
            ),
            rules=(*(verdict.rule() for verdict in self.verdicts), *DEFAULT_RULES),
            on_dead_letter=self.on_dead_letter,
            park_s=self.park_s,
            duplicates_window=self.duplicates_window,
            activities_path=activities_path(datamart_id),
            redact=redact,
        )

    def road(self) -> RoadPolicy:
        """What the loop of every road goes by."""
        return RoadPolicy(
            commit_every_s=self.commit_every_s,
            revoke_budget_s=self.revoke_budget_s,
            stop_deadline_s=self.stop_deadline_s,
        )

    def report(self) -> ReportPolicy:
        """What the reporter goes by."""
        return ReportPolicy(stuck_after_s=self.stuck_after_s)
