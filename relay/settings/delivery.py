"""How records are delivered: order, pace, retries, memory, and when to stop."""

import re
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from relay.model import VerdictKind
from relay.road.custody import CustodyPolicy
from relay.road.loop import RoadPolicy
from relay.road.status import ReportPolicy
from relay.section import Section
from relay.stream.interpret import OrderBy
from relay.stream.mapping.requests import activities_path
from relay.stream.policy import EnginePolicy, UserPolicy
from relay.stream.sending.brake import BrakePolicy
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


class DeliverySettings(
    LimitPolicy, RatePolicy, GatePolicy, CustodyPolicy, UserPolicy, RoadPolicy, ReportPolicy
):
    """How records are delivered."""

    order_by: OrderBy = Field(
        OrderBy.USER,
        description="What keeps its order: `user` (by the event's identifiers), `key` (of the "
        "record), `partition`, or `none`.",
    )
    retry: RetryPolicy = Field(default_factory=RetryPolicy, description="Trying again.")
    brake: BrakePolicy = Field(
        default_factory=BrakePolicy, description="Holding the stream when nearly all is refused."
    )
    verdicts: tuple[VerdictSettings, ...] = Field(
        (), description="Rules about answers that stand before the built-in ones."
    )
    coalesce: CoalescingPolicy = Field(
        default_factory=CoalescingPolicy, description="Events travelling together."
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.user_records_max > self.memory_records_max:
            raise ValueError("user_records_max exceeds memory_records_max, which would always win")
        return self

    def engine(
        self,
        datamart_id: str,
        *,
        limit: LimitPolicy | None = None,
        rate: RatePolicy | None = None,
        section: str = "tracking",
    ) -> EnginePolicy:
        """What the engine goes by for one datamart; `limit` and `rate` where it has its own."""
        return EnginePolicy(
            destination=DestinationPolicy(
                gate=self,
                limit=limit or self,
                rate=rate or self,
                retry=self.retry,
                brake=self.brake,
            ),
            custody=self,
            coalescing=self.coalesce,
            users=self,
            rules=(*(verdict.rule() for verdict in self.verdicts), *DEFAULT_RULES),
            activities_path=activities_path(datamart_id),
            redact=redact,
            section=section,
        )
