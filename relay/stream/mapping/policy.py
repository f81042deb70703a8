"""What mapping may decide, as frozen values that the settings build."""

from dataclasses import dataclass, field
from enum import StrEnum

# Stands in dead letters: which rules the record met. Raised whenever the same event and settings
# give another activity.
MAPPING_VERSION = "2"

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


class MappingCode(StrEnum):
    """Every reason for which an event is not sent, or is sent with less than it came with."""

    # Not sent: dead-lettered.
    IMPLAUSIBLE_TIME = "implausible_time"
    NO_IDENTIFIER = "no_identifier"
    TOO_MANY_IDENTIFIERS = "too_many_identifiers"
    COMPARTMENT_MISSING = "compartment_missing"
    COMPARTMENT_UNKNOWN = "compartment_unknown"
    CLEAR_EMAIL = "clear_email"
    EMAIL_MALFORMED = "email_malformed"
    EMAIL_HASH_MALFORMED = "email_hash_malformed"
    LEGACY_FORM = "legacy_form"
    PROFILE_WITHOUT_ACCOUNT = "profile_without_account"
    CHANNEL_MISSING = "channel_missing"
    CHANNEL_AMBIGUOUS = "channel_ambiguous"
    RESERVED_EVENT_NAME = "reserved_event_name"
    RESERVED_PROPERTY = "reserved_property"
    ROUTE_CONTRADICTED = "route_contradicted"
    SELECTOR_MISSING = "selector_missing"
    # Not sent: skipped.
    CONSENT_REFUSED = "consent_refused"
    CONSENT_UNKNOWN = "consent_unknown"
    SEGMENT_NOT_ROUTED = "segment_not_routed"
    SEGMENT_IMPORTED = "segment_imported"
    """Not skipped at all: the road of membership events has it."""
    # Sent, and said in the activity's notes.
    PLACEHOLDER_DEVICE = "placeholder_device"
    OPTED_OUT_DEVICE = "opted_out_device"
    SHARED_ACCOUNT = "shared_account"
    SHARED_EMAIL = "shared_email"
    PLACEHOLDER_EMAIL = "placeholder_email"
    ROLE_EMAIL = "role_email"
    HASH_OF_NOTHING = "hash_of_nothing"
    TEMPLATE_LEFT_OVER = "template_left_over"
    NOT_ONE_IDENTIFIER = "not_one_identifier"
    UNCLEAN_IDENTIFIER = "unclean_identifier"
    EMAIL_REPAIRED = "email_repaired"
    ADVERTISING_ID_CASE = "advertising_id_case"
    EVENT_RENAMED = "event_renamed"


class IdentityForm(StrEnum):
    """How an activity says whose it is."""

    USER_IDENTIFIERS = "user_identifiers"
    LEGACY = "legacy"


class EmailHashing(StrEnum):
    """The one function by which a datamart hashes addresses. The value is hashlib's name."""

    MD5 = "md5"
    SHA1 = "sha1"
    SHA256 = "sha256"
    SHA384 = "sha384"
    SHA512 = "sha512"


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


@dataclass(frozen=True, slots=True)
class EmailPolicy:
    """How addresses become hashes, and whether they may come or go in clear."""

    hashing: EmailHashing = EmailHashing.SHA256
    normalise: bool = True
    accept_clear: bool = True
    send_clear: bool = False
    check_hash: bool = True


@dataclass(frozen=True, slots=True)
class GuardPolicy:
    """What may identify a user, so that people who are not the same are never merged.

    The numbers are those above which the platform flags a user point: 4 accounts and 4 email
    hashes in 7 days, 10 identifiers of a registry in 2 days.
    """

    shared_accounts: frozenset[str] = field(default=frozenset(), repr=False)
    shared_emails: frozenset[str] = field(default=frozenset(), repr=False)
    placeholders: frozenset[str] = frozenset()
    placeholder_digests: frozenset[str] = frozenset()
    leave_out_role_addresses: bool = True
    role_names: frozenset[str] = frozenset()
    normalise_advertising_ids: bool = True
    accounts_max: int = 4
    emails_max: int = 4
    devices_max: int = 10


@dataclass(frozen=True, slots=True)
class IdentityPolicy:
    """How the user of an event becomes the identifiers of an activity."""

    form: IdentityForm = IdentityForm.USER_IDENTIFIERS
    default_compartment_id: str | None = None
    compartments: dict[str, str] = field(default_factory=dict)
    missing_compartment: MissingCompartment = MissingCompartment.REJECT
    compartment_as_number: bool = False
    email: EmailPolicy = EmailPolicy()
    guard: GuardPolicy = GuardPolicy()


@dataclass(frozen=True, slots=True)
class MappingPolicy:
    """How an app event becomes a user activity."""

    identity: IdentityPolicy = field(default_factory=IdentityPolicy)
    segments_are_imported: bool = False
    """Whether the road of membership events takes segment events."""
    session_status: str = "NO_SESSION"
    unique_key: bool = True
    source: str = ""
    past_max_ms: int = 3650 * DAY_MS
    future_max_ms: int = DAY_MS
    reserved_names: ReservedNames = ReservedNames.REJECT
    default_app_id: str | None = None
    default_site_id: str | None = None
    required_processings: tuple[str, ...] = ()
    datamart_id: str = "0"
    profile_route: ProfileRoute = ProfileRoute.ACTIVITY
    choice_route: ChoiceRoute = ChoiceRoute.ACTIVITY
    update_strategy: UpdateStrategy = UpdateStrategy.PARTIAL_UPDATE
