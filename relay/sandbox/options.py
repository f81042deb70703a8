"""What can be chosen about the sandbox, from the command line or a test to every stand-in.

The vendor's documents leave much open; what they leave open is an option here, and its default is
the reading that we think most likely. Such options say *inferred*.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from relay.sandbox.profiles import Strategy


class RepeatPolicy(StrEnum):
    """What a second activity with the same `$unique_key` does to the timeline."""

    ADD = "add"
    IGNORE = "ignore"
    OVERWRITE = "overwrite"


@dataclass(frozen=True, slots=True)
class SandboxOptions:
    """How the sandbox behaves from its start; faults and clock can be moved while it runs."""

    tokens: frozenset[str] = frozenset()
    """Accepted values of the `Authorization` header; none given: any value, but one must be sent.
    A value is accepted with and without the prefix `api:`."""

    datamarts: frozenset[str] = frozenset()
    """Datamarts that exist; none given: every number is a datamart."""

    default_compartment_id: str = "1000"
    """The compartment of an account that names none."""

    repeat_policy: RepeatPolicy = RepeatPolicy.OVERWRITE
    """Inferred: a store keyed by `$unique_key` would overwrite. The relay must be right under all
    three."""

    profile_strategy: Strategy = Strategy.SHALLOW
    """Inferred: what a `PUT user_profiles` without any parameter does: the legacy default."""

    profile_event_strategy: Strategy = Strategy.SHALLOW
    """Inferred: what `$set_user_profile_properties` does to the profile."""

    unique_key_version_1: bool = True
    """Inferred: refuse a `$unique_key` that is not a UUID of version 1."""

    accepted_data: Any = True
    """Inferred: the `data` of a success. Clients must not depend on it."""

    refusal_status: int = 400
    """Inferred: the status of an activity that is not valid."""

    order_property: str = "seq"
    """The property of an event that grows with each event of one user, by which order is judged."""

    session_timeout_s: int = 1800
    """Documented: an `IN_SESSION` session closes after 30 minutes without an event."""

    body_bytes_max: int = 5_000_000
    """Inferred: a larger tracking body is answered 413."""

    upload_bytes_max: int = 128 * 1024 * 1024
    """The largest body that the sandbox reads into memory, for any stand-in."""

    log_max: int = 200_000
    """Requests kept for `/_sandbox/log`; the oldest go first."""

    activities_max: int = 200_000
    """Activities kept for reading back; the oldest go first."""

    keys_max: int = 2_000_000
    """`$unique_key`s remembered to recognise repeats; the oldest go first."""

    seed: int = 0
    """Where generated ids come from: the same requests in the same order give the same ids."""
