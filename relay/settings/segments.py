"""Audience segments: where they come from, where they go, and how each is kept in step."""

import math
from pathlib import Path
from typing import Self

import orjson
from pydantic import Field, SecretStr, field_validator, model_validator

from relay.apis.addresses import MPARTICLE_URL, PATHS, Credentials
from relay.apis.locations import FileAccess, S3Access
from relay.base_url import BaseUrl, ProxyUrl
from relay.errors import SettingsError
from relay.membership.policy import (
    ChangePolicy,
    ImporterPolicy,
    MembershipPolicy,
)
from relay.road.custody import CustodyPolicy
from relay.section import Section
from relay.segments.formats import FileFormat
from relay.segments.lines import Target
from relay.segments.members import ExpiryPolicy
from relay.segments.plan import SafetyPolicy
from relay.segments.policy import ExportPolicy, SyncPolicy, UploadPolicy
from relay.segments.user_ids import IdPolicy, IdType
from relay.settings.kafka import KafkaName
from relay.stream.decoding import DecodingPolicy
from relay.stream.mapping import MappingPolicy
from relay.stream.mapping.policy import IdentityPolicy


class MparticleSettings(ExportPolicy):
    """mParticle Analytics, where segments are exported from."""

    base_url: BaseUrl = Field(MPARTICLE_URL, description="Address of the Analytics API.")
    api_key: SecretStr | None = Field(None, description="API key of the project.")
    access_token: SecretStr | None = Field(None, description="Access token of the project.")


class S3Settings(Section):
    """Exports that lie in S3. Without keys, what the surroundings offer is used."""

    region: str = Field("us-east-1", min_length=1, description="Region of the bucket.")
    endpoint: BaseUrl | None = Field(None, description="Address of an S3 that is not Amazon's.")
    access_key_id: SecretStr | None = Field(None, description="Access key id.")
    secret_access_key: SecretStr | None = Field(None, description="Secret access key.")
    session_token: SecretStr | None = Field(None, description="Token of temporary keys.")

    @model_validator(mode="after")
    def _both_or_none(self) -> Self:
        if (self.access_key_id is None) != (self.secret_access_key is None):
            raise ValueError("access_key_id and secret_access_key go together")
        return self


class ExportSettings(Section):
    """Files that exports name. Their addresses are chosen by somebody else."""

    file_bytes_max: int = Field(
        20_000_000_000, ge=1, description="Largest file that is downloaded, in bytes."
    )
    allow_private_hosts: bool = Field(
        False,
        description="Whether an https address may lead into a private network, or to this machine "
        "(there without encryption, too). Not for S3, whose address is `s3.endpoint`.",
    )


class DigitalAudienceSettings(Section):
    """Digital Audience, where the life of a segment can be steered."""

    base_url: BaseUrl | None = Field(
        None, description="Address of its API; the vendor's pages do not say it."
    )
    user_name: str | None = Field(None, description="Who logs in.")
    password: SecretStr | None = Field(None, description="The password.")
    cookie: SecretStr | None = Field(
        None, description="Value of the cookie `digitalAudience`; with it nobody logs in."
    )
    paths: dict[str, str] = Field(
        default_factory=dict,
        description="Paths that differ from the defaults, by call: "
        + ", ".join(f"`{name}` (`{path}`)" for name, path in PATHS.items())
        + ". The vendor's page gives most calls two that disagree.",
    )

    @field_validator("paths")
    @classmethod
    def _are_known(cls, value: dict[str, str]) -> dict[str, str]:
        for name, path in value.items():
            if name not in PATHS:
                raise ValueError(f"{name} is none of {', '.join(PATHS)}")
            if ("{id}" in path) != ("{id}" in PATHS[name]) or not path.startswith("/"):
                needs = " and hold {id}" if "{id}" in PATHS[name] else ", and hold no {id}"
                raise ValueError(f"{name} must begin with a slash{needs}")
        return value


class ImportSettings(UploadPolicy):
    """Bulk imports into mediarithmics. Address, datamart and token are those of `tracking`."""

    format: FileFormat = Field(FileFormat.NDJSON, description="Format of the files.")
    part_bytes_max: int = Field(
        90_000_000,
        ge=1024,
        le=100_000_000,
        description="Largest file; more is cut between lines. The vendor asks for at most 100 MB.",
    )


class SyncSettings(SafetyPolicy):
    """One segment that is kept in step."""

    name: str = Field(
        pattern=r"^[a-z0-9][a-z0-9-]{0,39}$",
        description="What the sync is called, and its directory. Lower case, digits, dashes.",
    )
    mparticle_segment_id: str = Field(min_length=1, description="The segment at mParticle, by id.")
    segment_id: str | None = Field(
        None, min_length=1, description="The segment at mediarithmics, by id."
    )
    segment_technical_name: str | None = Field(
        None, min_length=1, description="Or by technical name."
    )
    id_type: IdType = Field(
        IdType.MPID,
        description="What the id column of the export holds: `mpid`, `customer_id` or `other` "
        "become a user account, `email` and `email_hash` an email hash, `user_agent_id` a device.",
    )
    id_column: str | int = Field(
        0, description="The id column, by its name, or by its place counted from 0."
    )
    header: bool = Field(True, description="Whether the first line of the export names columns.")
    compartment_id: str | None = Field(
        None,
        min_length=1,
        description="Compartment of the accounts. Left out: `identity.default_compartment_id`, "
        "and without that the datamart's default.",
    )
    expiration_minutes: int = Field(
        10_080,
        ge=0,
        description="How long a member stays without a sync that renews it; 0 is for ever.",
    )
    renew_before_minutes: int | None = Field(
        None,
        ge=0,
        description="A member is renewed when it would expire within this time. Left out: half "
        "of `expiration_minutes`.",
    )
    last_line_end: bool = Field(
        True,
        description="Whether the last line of an export must end with a line end where it could "
        "be cut off within an id: where the ids stand in the last column.",
    )
    stale_after_hours: float = Field(
        24.0,
        gt=0,
        le=168,
        description="A run that was cut off is gone on with as long as its export is not older.",
    )
    data_bag: str | None = Field(
        None, description="JSON, as text, that goes with every membership."
    )

    @field_validator("data_bag")
    @classmethod
    def _is_json(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                orjson.loads(value)
            except orjson.JSONDecodeError:
                raise ValueError("must be JSON, written as text") from None
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if (self.segment_id is None) == (self.segment_technical_name is None):
            raise ValueError("give one of segment_id and segment_technical_name")
        if not self.header and isinstance(self.id_column, str):
            raise ValueError("id_column by name needs a header")
        if isinstance(self.id_column, int) and self.id_column < 0:
            raise ValueError("id_column is counted from 0")
        renew = self.renew_before_minutes
        if renew is not None and self.expiration_minutes and renew >= self.expiration_minutes:
            raise ValueError("renew_before_minutes must be below expiration_minutes")
        return self

    def expiry(self) -> ExpiryPolicy:
        """How long members stay, and when they are renewed."""
        renew = self.renew_before_minutes
        half = self.expiration_minutes // 2
        return ExpiryPolicy(self.expiration_minutes, half if renew is None else renew)

    def target(self, default_compartment_id: str | None) -> Target:
        """The segment that is filled."""
        identifier = self.id_type.identifier
        is_account = identifier == "user_account_id"
        return Target(
            segment=self.segment_id or self.segment_technical_name or "",
            by="segment_technical_name" if self.segment_id is None else "segment_id",
            identifier=identifier,
            compartment_id=(self.compartment_id or default_compartment_id) if is_account else None,
            data_bag=self.data_bag,
        )


class MembershipSettings(Section):
    """Events of type `segment`; files, polling and retries are those of `segments.imports`."""

    enabled: bool = Field(
        False,
        description="Whether `relay run` gathers segment events into imports. Without it they are "
        "skipped, and counted.",
    )
    group_id: KafkaName | None = Field(
        None,
        description="Consumer group of their own, so that a slow import holds up no activity. "
        "Left out: `kafka.group_id` with `-segments` behind it.",
    )
    expiration_minutes: int = Field(
        0,
        ge=0,
        description="How long a member stays whose event names no `expires_at`; 0 is for ever.",
    )
    commands_max: int = Field(
        10_000, ge=1, le=100_000, description="A file is sent when so many commands wait."
    )
    file_bytes_max: int = Field(
        16_000_000,
        ge=4096,
        le=100_000_000,
        description="A file is cut at so many bytes; `imports.part_bytes_max` holds as well.",
    )
    delay_goal_s: float = Field(
        30.0,
        gt=0,
        le=86_400,
        description="An event is imported within this time while nothing fails. Half of it is "
        "spent gathering a file, and executions are looked at so often that the rest suffices "
        "where the platform takes a third of it.",
    )
    give_up_s: float = Field(
        900.0,
        ge=0,
        le=86_400,
        description="An event whose import fails is dead-lettered when `imports.attempts_max` "
        "executions of it alone have failed, for so long, while those of others succeeded.",
    )
    records_max: int = Field(
        20_000,
        ge=1,
        le=1_000_000,
        description="Most segment events in memory; then nothing more is read for a while.",
    )
    bytes_max: int = Field(
        64 * 1024 * 1024, ge=1_048_576, description="Most bytes of them in memory, about."
    )


class SegmentsSettings(Section):
    """Audience segments: by `relay segments sync`, and by `relay run` with `membership` enabled."""

    state_dir: Path = Field(
        Path("relay-segments"),
        description="Directory of the ledgers. It names people: keep it as their data is kept, "
        "and keep it between runs.",
    )
    proxy: ProxyUrl | None = Field(
        None,
        examples=["https://user:password@proxy.example.com:3128"],
        description="An HTTP proxy for everything here but mediarithmics, which has that of "
        "`tracking`. The usual proxy variables are not looked at.",
    )
    mparticle: MparticleSettings = Field(
        default_factory=MparticleSettings, description="Where segments come from."
    )
    s3: S3Settings = Field(default_factory=S3Settings, description="Where exports lie.")
    exports: ExportSettings = Field(
        default_factory=ExportSettings, description="What may be downloaded."
    )
    imports: ImportSettings = Field(
        default_factory=ImportSettings, description="How they get into mediarithmics."
    )
    digital_audience: DigitalAudienceSettings = Field(
        default_factory=DigitalAudienceSettings, description="Where their life can be steered."
    )
    syncs: tuple[SyncSettings, ...] = Field((), description="Segments that are kept in step.")
    membership: MembershipSettings = Field(
        default_factory=MembershipSettings, description="Membership events from Kafka."
    )

    @model_validator(mode="after")
    def _each_is_its_own(self) -> Self:
        names = [sync.name for sync in self.syncs]
        if len(set(names)) < len(names):
            raise ValueError("two syncs have the same name")
        targets = [(sync.segment_id, sync.segment_technical_name) for sync in self.syncs]
        if len(set(targets)) < len(targets):
            raise ValueError("two syncs fill the same segment: each would remove the other's users")
        return self

    def sync_policy(self, name: str | None, identity: IdentityPolicy) -> SyncPolicy:
        """What is decided about the sync of this name, or about the only one."""
        found = [sync for sync in self.syncs if name in (None, sync.name)]
        if len(found) != 1:
            known = ", ".join(sync.name for sync in self.syncs) or "none"
            asked = "which sync?" if name is None else f"there is no sync named {name}"
            raise SettingsError(f"segments.syncs: {asked}", hint=f"known are: {known}")
        sync = found[0]
        return SyncPolicy(
            name=sync.name,
            source_segment_id=sync.mparticle_segment_id,
            target=sync.target(identity.default_compartment_id),
            ids=IdPolicy(
                sync.id_type,
                sync.id_column,
                sync.header,
                identity.email,
                sync.last_line_end,
            ),
            expiry=sync.expiry(),
            safety=sync,
            upload=self.imports,
            form=self.imports.format,
            part_bytes_max=self.imports.part_bytes_max,
            stale_after_s=sync.stale_after_hours * 3600,
        )

    def membership_group(self, stream_group_id: str) -> str:
        """The consumer group of membership events.

        Raises:
            SettingsError: It is the stream's, which would then miss half of its records.
        """
        group_id = self.membership.group_id or f"{stream_group_id}-segments"
        if group_id == stream_group_id:
            raise SettingsError(
                f"segments.membership.group_id is {group_id}, which is kafka.group_id",
                hint="each needs a group of its own: both read every record",
            )
        return group_id

    def change_policy(self, decoding: DecodingPolicy, mapping: MappingPolicy) -> ChangePolicy:
        """How a segment event becomes lines of an import."""
        return ChangePolicy(
            decoding, mapping, self.membership.expiration_minutes, self.imports.format
        )

    def membership_policy(self, changes: ChangePolicy) -> MembershipPolicy:
        """How membership events are gathered and settled."""
        own, imports = self.membership, self.imports
        return MembershipPolicy(
            changes=changes,
            commands_max=own.commands_max,
            bytes_max=min(own.file_bytes_max, imports.part_bytes_max),
            gather_s=own.delay_goal_s / 2,
            in_flight_max=imports.in_flight_max,
            attempts_max=imports.attempts_max,
            give_up_s=own.give_up_s,
            wait_s=imports.poll_s,
            wait_s_max=max(imports.poll_s, MembershipPolicy().wait_s_max),
            custody=CustodyPolicy(
                memory_records_max=own.records_max,
                memory_bytes_max=own.bytes_max,
                user_records_max=own.records_max,
            ),
        )

    def importer_policy(self, group_id: str) -> ImporterPolicy:
        """How their executions are seen through."""
        imports = self.imports
        return ImporterPolicy(
            name=f"relay-membership-{group_id}",
            form=imports.format,
            upload=imports.model_copy(
                update={
                    "attempts_max": 1,
                    "poll_s": min(imports.poll_s, self.membership.delay_goal_s / 15),
                    "poll_s_max": min(imports.poll_s_max, self.membership.delay_goal_s / 6),
                }
            ),
            fence_hours=math.ceil(imports.patience_hours),
        )

    def file_access(self) -> FileAccess:
        """How the file of an export is reached."""
        s3 = self.s3
        return FileAccess(
            S3Access(
                s3.region,
                s3.endpoint,
                _plain(s3.access_key_id),
                _plain(s3.secret_access_key),
                _plain(s3.session_token),
            ),
            _plain(self.proxy),
            self.exports.file_bytes_max,
            self.exports.allow_private_hosts,
        )

    def mparticle_credentials(self) -> tuple[str, str]:
        """API key and access token."""
        key, token = self.mparticle.api_key, self.mparticle.access_token
        if key is None or token is None:
            missing = "api_key" if key is None else "access_token"
            raise SettingsError(
                f"segments.mparticle.{missing} is missing",
                hint=f"set it, or RELAY_SEGMENTS__MPARTICLE__{missing.upper()}",
            )
        return key.get_secret_value(), token.get_secret_value()

    def digital_audience_login(self) -> tuple[str, Credentials]:
        """Where to log in, and as whom."""
        given = self.digital_audience
        needed = ("base_url",) if given.cookie else ("base_url", "user_name", "password")
        for name in needed:
            if getattr(given, name) is None:
                raise SettingsError(
                    f"segments.digital_audience.{name} is missing",
                    hint=f"set it, or RELAY_SEGMENTS__DIGITAL_AUDIENCE__{name.upper()}",
                )
        credentials = Credentials(
            given.user_name or "", _plain(given.password) or "", _plain(given.cookie)
        )
        return given.base_url or "", credentials


def _plain(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()
