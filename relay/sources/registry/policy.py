"""Where the registry is, and how long Relay waits for what it does not have."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RegistryPolicy:
    """`urls` are members of one registry: asked in turn until one answers.

    A registry that cannot be asked holds the stream without an end, with pauses from `retry_s` to
    `retry_s_max`. An id that it does not know is waited for `unknown_wait_s` (registries replicate)
    and is then unknown for `unknown_for_s`. Within that time no other unknown id is waited for:
    bytes that only look like ids must not stop the stream again and again.
    """

    urls: tuple[str, ...]
    retry_s: float = 0.5
    retry_s_max: float = 30.0
    unknown_wait_s: float = 30.0
    unknown_for_s: float = 300.0
    schemas_max: int = 1_000
    schema_bytes_max: int = 4 << 20
    references_max: int = 200
