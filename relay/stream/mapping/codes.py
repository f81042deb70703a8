"""Every reason that mapping gives."""

from enum import StrEnum


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
    UNKNOWN_DESTINATION = "unknown_destination"
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
    APP_WITHOUT_SESSION = "app_without_session"
