"""Settings as they may be shown: the values in force, without secrets."""

import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from relay.settings.secrets import secret_values

MASK = "***"
_LENGTH_MIN = 4  # a shorter secret would mask parts of ordinary words
_IN_ADDRESS = re.compile(r"(?<=://)[^\s/@]+(?=@)")


def shown(settings: BaseModel) -> Mapping[str, Any]:
    """JSON values. Secrets are masked, wherever else they stand too; so are logins in addresses."""
    secrets = [secret for secret in secret_values(settings) if len(secret) >= _LENGTH_MIN]
    given: dict[str, Any] = _masked(settings.model_dump(mode="json"), secrets)
    return given


def _masked(value: Any, secrets: list[str]) -> Any:
    match value:
        case dict():
            return {_masked(key, secrets): _masked(item, secrets) for key, item in value.items()}
        case list():
            return [_masked(item, secrets) for item in value]
        case "**********":  # how pydantic writes a secret
            return MASK
        case str():
            for secret in secrets:
                value = value.replace(secret, MASK)
            return _IN_ADDRESS.sub(MASK, value)
        case _:
            return value
