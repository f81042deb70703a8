"""How events become activities."""

from pydantic import Field

from relay.section import Section
from relay.settings.identity import IdentitySettings
from relay.stream.decoding.visit import SessionStatus
from relay.stream.mapping import MappingPolicy
from relay.stream.mapping.policy import (
    DAY_MS,
    HOUR_MS,
    ChoiceRoute,
    ProfileRoute,
    ReservedNames,
    UpdateStrategy,
)


class MappingSettings(Section):
    """What events become, and which are not sent."""

    session_status: SessionStatus = Field(
        "NO_SESSION",
        description="Session status of events that name none.",
    )
    default_app_id: str | None = Field(
        None, min_length=1, description="App channel of events that name no channel."
    )
    default_site_id: str | None = Field(
        None, min_length=1, description="Site channel of events that name no channel."
    )
    unique_key: bool = Field(
        True,
        description="Send a `$unique_key` that is computed from the event, so that a repetition "
        "can be recognised.",
    )
    source: str = Field(
        "",
        description="Who gives the events their ids; part of `$unique_key`. Set it when several "
        "sources with ids of their own feed one datamart. Changing it changes every key.",
    )
    past_max_days: int = Field(
        3650, ge=0, description="Events from longer ago are dead-lettered as implausible."
    )
    future_max_hours: int = Field(
        24, ge=0, description="Events from further ahead are dead-lettered as implausible."
    )
    reserved_names: ReservedNames = Field(
        ReservedNames.REJECT,
        description="Events that the platform computes itself ($app_install, $app_update) or "
        "deletes ($page_view): `reject` dead-letters them, `skip` passes them over, `rename` "
        "sends them without the `$`.",
    )
    required_processings: list[str] = Field(
        default_factory=list,
        description="Ids of processings that the user must have accepted, by the event's "
        "`consents`; other events are withheld and counted. Choices always pass.",
    )

    profile_route: ProfileRoute = Field(
        ProfileRoute.ACTIVITY,
        description="How profiles travel when their event does not say: in an `activity`, where "
        "event rules see them, or put on the user point by `user_profiles`, without an activity.",
    )
    choice_route: ChoiceRoute = Field(
        ChoiceRoute.ACTIVITY,
        description="How choices travel when their event does not say: in an `activity`, or put "
        "on the user point by `user_choices`.",
    )
    update_strategy: UpdateStrategy = Field(
        UpdateStrategy.PARTIAL_UPDATE,
        description="How the properties of a profile that is put by `user_profiles` meet the "
        "stored ones, when its event does not say. `legacy_replace`, `legacy_merge` and "
        "`legacy_merge_objects` are spelt with `force_replace` and `merge_objects`; `platform` "
        "sends neither and leaves it to the platform.",
    )

    def policy(self, identity: IdentitySettings, datamart_id: str = "0") -> MappingPolicy:
        """What `map_event` goes by. The datamart stands in the path of what is put."""
        return MappingPolicy(
            datamart_id=datamart_id,
            profile_route=self.profile_route,
            choice_route=self.choice_route,
            update_strategy=self.update_strategy,
            identity=identity.policy(),
            session_status=self.session_status,
            unique_key=self.unique_key,
            source=self.source,
            past_max_ms=self.past_max_days * DAY_MS,
            future_max_ms=self.future_max_hours * HOUR_MS,
            reserved_names=self.reserved_names,
            default_app_id=self.default_app_id,
            default_site_id=self.default_site_id,
            required_processings=tuple(self.required_processings),
        )
