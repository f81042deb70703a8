"""Addresses that paths can be put behind, as settings give them."""

from typing import Annotated
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, SecretStr


def http_parts(address: str) -> SplitResult | None:
    """The parts of an http or https address, or None for anything else."""
    try:
        parts = urlsplit(address)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, a broken IPv6 address
        return None
    return parts if usable else None


def _base_url(value: str) -> str:
    parts = http_parts(value)
    if parts is None:
        raise ValueError("must be an address such as https://api.mediarithmics.com")
    if parts.username is not None or parts.query or parts.fragment:
        raise ValueError("must have no user name, query or fragment")
    return value.rstrip("/")


BaseUrl = Annotated[str, AfterValidator(_base_url)]
"""An address that paths can be put behind: http or https, no user, query or fragment."""


def _proxy_url(value: SecretStr) -> SecretStr:
    if http_parts(value.get_secret_value()) is None:
        raise ValueError("must be an address such as https://user:password@proxy:3128")
    return value


ProxyUrl = Annotated[SecretStr, AfterValidator(_proxy_url)]
"""An HTTP proxy. It may hold a user name and a password, so all of it is a secret."""
