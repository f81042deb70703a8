"""What mapping may decide: the sections `identity` and `mapping` of the settings."""

from enum import StrEnum
from functools import cached_property

from pydantic import Field

from relay.section import Section
from relay.stream.decoding.visit import SessionStatus
from relay.stream.mapping.addresses import EmailPolicy, hash_email
from relay.stream.mapping.guard import GuardPolicy

# Stands in dead letters: which rules the record met. Raised whenever the same event and settings
# give another activity.
MAPPING_VERSION = "2"

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


class IdentityForm(StrEnum):
    """How an activity says whose it is."""

    USER_IDENTIFIERS = "user_identifiers"
    LEGACY = "legacy"


class ReservedNames(StrEnum):
    """What happens to an event whose name the platform computes or deletes itself."""

    REJECT = "reject"
    SKIP = "skip"
    RENAME = "rename"


class MissingCompartment(StrEnum):
    """What happens to an account for which no compartment is known."""

    REJECT = "reject"
    PLATFORM = "platform"


class ProfileRoute(StrEnum):
    """How profiles travel. The name of a route is that of its endpoint."""

    ACTIVITY = "activity"
    USER_PROFILES = "user_profiles"


class ChoiceRoute(StrEnum):
    """How choices travel."""

    ACTIVITY = "activity"
    USER_CHOICES = "user_choices"


class SelectorKind(StrEnum):
    """What selects the user point on the routes that name one in their path."""

    ACCOUNT = "account"
    EMAIL = "email"
    DEVICE = "device"
    USER_POINT = "user_point"
    USER_POINT_BARE = "user_point_bare"


class UpdateStrategy(StrEnum):
    """How the properties of a put profile meet the stored ones."""

    PARTIAL_UPDATE = "PARTIAL_UPDATE"
    PARTIAL_DELETE = "PARTIAL_DELETE"
    FORCE_REPLACE = "FORCE_REPLACE"
    LEGACY_REPLACE = "legacy_replace"
    LEGACY_MERGE = "legacy_merge"
    LEGACY_MERGE_OBJECTS = "legacy_merge_objects"
    PLATFORM = "platform"


class IdentityPolicy(Section):
    """Which identifiers are sent, and in which form."""

    form: IdentityForm = Field(
        IdentityForm.USER_IDENTIFIERS,
        description="`user_identifiers` sends all of them; `legacy` one of each kind, at the root "
        "of the activity.",
    )
    default_compartment_id: str | None = Field(
        None, min_length=1, description="Compartment of accounts that name none."
    )
    compartments: dict[str, str] = Field(
        default_factory=dict,
        description="Names that events may use for compartments: `{crm: '1000'}`.",
    )
    missing_compartment: MissingCompartment = Field(
        MissingCompartment.REJECT,
        description="An account for which no compartment is known is dead-lettered with `reject`; "
        "`platform` sends it without one, and the platform takes the datamart's default.",
    )
    compartment_as_number: bool = Field(
        False, description="Send compartment ids as JSON numbers instead of text."
    )
    email: EmailPolicy = Field(default_factory=EmailPolicy, description="Email addresses.")
    guard: GuardPolicy = Field(
        default_factory=GuardPolicy, description="Against merging different people."
    )

    @cached_property
    def shared_hashes(self) -> frozenset[str]:
        """`guard.shared_emails` as the datamart knows them: hashes, given or made."""
        shared = self.guard.folded_emails
        made = (hash_email(entry, self.email) for entry in shared if "@" in entry.lstrip("@"))
        return shared.union(made)


class ActivityPolicy(Section):
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

    def complete(
        self,
        identity: IdentityPolicy,
        datamart_id: str = "0",
        *,
        segments_are_imported: bool = False,
    ) -> "MappingPolicy":
        """What `map_event` goes by. The datamart stands in the path of what is put."""
        return MappingPolicy(
            **dict(self),
            identity=identity,
            datamart_id=datamart_id,
            segments_are_imported=segments_are_imported,
        )


class MappingPolicy(ActivityPolicy):
    """How an app event becomes a user activity."""

    identity: IdentityPolicy = Field(default_factory=IdentityPolicy)
    datamart_id: str = "0"
    segments_are_imported: bool = False
    """Whether the road of membership events takes segment events."""

    @cached_property
    def past_max_ms(self) -> int:
        """`past_max_days` in milliseconds."""
        return self.past_max_days * DAY_MS

    @cached_property
    def future_max_ms(self) -> int:
        """`future_max_hours` in milliseconds."""
        return self.future_max_hours * HOUR_MS
