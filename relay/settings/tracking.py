"""Which datamart of the tracking API activities go to, and how to log in to it."""

from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, StringConstraints, field_validator

from relay.errors import SettingsError
from relay.settings.delivery import DeliverySettings
from relay.stream.policy import TRACKING, EnginePolicy
from relay.stream.sending.token import Authorization, Renewed, TokenFile, static_token
from relay.stream.sending.wire import WirePolicy


class TrackingSettings(WirePolicy):
    """The destination of the stream: one datamart of the mediarithmics tracking API."""

    datamart_id: str = Field(
        pattern=r"^[0-9]{1,20}$",
        examples=["1234"],
        description="The datamart that the activities belong to.",
    )
    api_token: SecretStr | None = Field(
        None,
        description="The long-term API token of a service account. It is sent as it is in the "
        "`Authorization` header. Give this or `api_token_file`.",
    )
    api_token_file: Path | None = Field(
        None,
        description="A file that holds the API token and nothing else. It is read again within a "
        "second when it changes, so a token can be renewed without a restart.",
    )
    api_token_prefix: Annotated[str, StringConstraints(strip_whitespace=False)] = Field(
        "",
        pattern=r"^[\x20-\x7e]*$",
        description="Put in front of the token as it stands, for a gateway that wants a scheme: "
        "`api:`, or `Bearer` followed by a space (quoted, in YAML).",
    )

    def policy(self, delivery: DeliverySettings) -> EnginePolicy:
        """What its sender goes by."""
        return delivery.engine(self.datamart_id)

    @property
    def section(self) -> str:
        """How these settings are called in a message."""
        return TRACKING

    @property
    def _without_a_token(self) -> str:
        return "set tracking.api_token_file, or RELAY_TRACKING__API_TOKEN in the environment"

    @field_validator("base_url")
    @classmethod
    def _ends_before_the_paths_of_the_api(cls, value: str) -> str:
        """A gateway may have a path of its own in front. Relay itself puts the API's behind it."""
        parts = urlsplit(value).path.split("/")
        if "datamarts" in parts or parts[-1] == "v1":
            raise ValueError(
                "must end before /v1/datamarts/…: Relay puts that behind the address by itself"
            )
        return value

    def authorization(self, renewed: Renewed = lambda: None) -> Authorization:
        """The token's source. Reads the token file, so that a wrong one shows at the start.

        `renewed` is called when the file holds another token.

        Raises:
            SettingsError: There is no token, or its file cannot be used.
        """
        prefix, setting = self.api_token_prefix, f"{self.section}.api_token"
        if self.api_token_file is not None:
            return TokenFile(
                self.api_token_file, prefix=prefix, setting=f"{setting}_file", renewed=renewed
            )
        if self.api_token is None:
            raise SettingsError(f"{setting} is missing", hint=self._without_a_token)
        return static_token(self.api_token.get_secret_value(), prefix=prefix, source=setting)
