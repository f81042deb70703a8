"""Where the registry is, how to log in, and how long Relay waits for what it does not have."""

from pathlib import Path
from typing import ClassVar, Self

from pydantic import Field, SecretStr, model_validator

from relay.base_url import BaseUrl
from relay.section import Section


class RegistryPolicy(Section):
    """The schema registry of the topics: Confluent's, Karapace, Apicurio (`/apis/ccompat/v7`).

    One that cannot be asked holds the partitions that need it, with pauses from `retry_s` to
    `retry_s_max`. An id that it does not know is waited for `unknown_wait_s` and is then unknown
    for `unknown_for_s`; within that time no other unknown id is waited for: bytes that only look
    like ids must not stop a partition again and again.
    """

    urls: tuple[BaseUrl, ...] = Field(
        min_length=1,
        examples=[["https://registry.example.com:8081"]],
        description="Addresses of the members of one registry; asked in turn until one answers.",
    )
    username: str | None = Field(None, min_length=1, description="Log in with a user name.")
    password: SecretStr | None = Field(None, description="The password of `username`.")
    token: SecretStr | None = Field(None, description="Log in with a bearer token.")
    token_file: Path | None = Field(
        None,
        description="A file that holds the bearer token. It is read again within a second when it "
        "changes.",
    )
    ca_file: Path | None = Field(
        None, description="PEM file of authorities to trust, besides those of the system."
    )
    client_cert_file: Path | None = Field(
        None, description="PEM file of the certificate to show to the registry (mutual TLS)."
    )
    client_key_file: Path | None = Field(
        None, description="PEM file of its key, not encrypted, unless it is in the same file."
    )
    timeout_s: float = Field(10.0, gt=0, le=300, description="Longest wait for an answer.")
    retry_s_max: float = Field(
        30.0,
        gt=0,
        le=3600,
        description="Longest pause between attempts while the registry cannot be asked. The "
        "partitions that need the schema wait meanwhile; nothing is lost.",
    )
    unknown_wait_s: float = Field(
        30.0,
        ge=0,
        le=3600,
        description="How long a schema that the registry does not know is waited for, since "
        "registries replicate. Then its records are dead-lettered as `schema_unknown`.",
    )
    unknown_for_s: float = Field(
        300.0,
        gt=0,
        le=86_400,
        description="How long an unknown schema stays unknown before it is asked for again. Within "
        "that time no other unknown schema is waited for.",
    )
    schemas_max: int = Field(
        1_000, ge=1, le=100_000, description="Most schemas that are kept in memory."
    )

    retry_s: ClassVar[float] = 0.5  # the first wait, of which the second half is drawn
    schema_bytes_max: ClassVar[int] = 4 << 20
    # of one schema, so that a circle of them, or a registry gone wrong, ends
    references_max: ClassVar[int] = 200

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password go together")
        ways = [self.username, self.token, self.token_file]
        if sum(way is not None for way in ways) > 1:
            raise ValueError("give one of username, token and token_file")
        if self.client_key_file is not None and self.client_cert_file is None:
            raise ValueError("client_key_file is given without client_cert_file")
        return self
