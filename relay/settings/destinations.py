"""Several destinations: further datamarts of the tracking API, each with a name and limits."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias, TypeVar

from pydantic import Field

from relay.model import DEFAULT_DESTINATION
from relay.section import Section
from relay.settings.delivery import DeliverySettings
from relay.settings.topics import told_at
from relay.settings.tracking import TrackingSettings
from relay.stream.policy import EnginePolicy
from relay.stream.routing import RoutingPolicy
from relay.stream.sending.limit import LimitPolicy
from relay.stream.sending.pacing import RatePolicy
from relay.yaml_text import Located


class DestinationLimits(LimitPolicy, RatePolicy):
    """Limits of one destination; what is not given is as in `delivery`."""


class DestinationSettings(TrackingSettings):
    """One of several datamarts, each sent to by itself."""

    name: str = Field(
        pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$",
        examples=["shop-fr"],
        description="What it is called in `routing`, logs, metrics and dead letters. Renaming it "
        "changes nothing that is sent.",
    )
    limits: DestinationLimits = Field(
        default_factory=DestinationLimits,
        description="Its own limits; what is not given is as in `delivery`.",
    )

    @property
    def section(self) -> str:
        """How these settings are called in a message."""
        return f"destinations[{self.name}]"

    @property
    def _without_a_token(self) -> str:
        return "set its api_token_file"

    def policy(self, delivery: DeliverySettings) -> EnginePolicy:
        """What its sender goes by."""
        return delivery.engine(
            self.datamart_id,
            limit=_with(delivery, LimitPolicy, self.limits),
            rate=_with(delivery, RatePolicy, self.limits),
            section=self.section,
        )


Sending: TypeAlias = TrackingSettings | DestinationSettings


Part = TypeVar("Part", bound=Section)


def _with(delivery: DeliverySettings, kind: type[Part], limits: DestinationLimits) -> Part:
    names = kind.model_fields.keys()
    # Only what was given for the destination itself counts: a default of its model would hide what
    # `delivery` says for all.
    given = limits.model_fields_set & names
    return kind(**{name: getattr(limits if name in given else delivery, name) for name in names})


def destination_problems(
    destinations: Sequence[DestinationSettings],
    routing: RoutingPolicy,
    *,
    has_tracking: bool,
    given: Located,
) -> Iterator[str]:
    """A line for each thing that destinations and routing say against one another."""
    names = [one.name for one in destinations]
    for number, name in enumerate(names):
        if name in names[:number]:
            yield told_at(given, ("destinations", number, "name"), "another one has this name")
        elif name == DEFAULT_DESTINATION and has_tracking:
            text = f"{DEFAULT_DESTINATION} is the name of what `tracking` describes"
            yield told_at(given, ("destinations", number, "name"), text)
    if has_tracking or not names:
        names.append(DEFAULT_DESTINATION)
    if len(names) > 1 and not routing.decides:
        text = "several destinations need a way to choose: topics, header, field or default"
        yield told_at(given, ("routing",), text)
    for path, name in routing.named().items():
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            meant = f"; did you mean {near[0]}?" if near else f"; there are {', '.join(names)}"
            yield told_at(given, ("routing", *path), f"there is no such destination{meant}")


def by_name(
    tracking: TrackingSettings | None, destinations: Sequence[DestinationSettings]
) -> Mapping[str, Sending]:
    """All of them; that of `tracking` first."""
    first: dict[str, Sending] = {} if tracking is None else {DEFAULT_DESTINATION: tracking}
    return first | {one.name: one for one in destinations}
