"""Addresses that paths can be put behind, as settings give them."""

from typing import Annotated
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, SecretStr


def is_host(name: str) -> bool:
    """Whether an address or name of a host can be asked for: no library looks up any other.

    Each part of a name, between its dots, has 1 to 63 characters (RFC 1035), also one that is not
    ASCII, as it is written in DNS (IDNA).
    """
    try:
        name.encode("idna")
    except UnicodeError:
        return False
    return bool(name) and name.isprintable()


def http_parts(address: str) -> SplitResult | None:
    """The parts of an http or https address, or None for anything else."""
    if " " in address or not address.isprintable():  # urlsplit passes over line ends and tabs
        return None
    try:
        parts = urlsplit(address)
        usable = parts.scheme in ("http", "https") and is_host(parts.hostname or "")
        usable = usable and parts.port != 0
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


def _http_url(value: str) -> str:
    if http_parts(value) is None:
        raise ValueError("must be an address such as https://login.example.com/token")
    return value


HttpUrl = Annotated[str, AfterValidator(_http_url)]
"""An address that is called as it is given: http or https."""


def _proxy_url(value: SecretStr) -> SecretStr:
    if http_parts(value.get_secret_value()) is None:
        raise ValueError("must be an address such as https://user:password@proxy:3128")
    return value


ProxyUrl = Annotated[SecretStr, AfterValidator(_proxy_url)]
"""An HTTP proxy. It may hold a user name and a password, so all of it is a secret."""
