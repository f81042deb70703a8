"""Which hosts may be called without encryption although a secret goes with the request."""

import ipaddress
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, SecretStr

from relay.base_url import http_parts
from relay.section import Section
from relay.settings.options import FILE_SUFFIX, is_secret
from relay.settings.sources import Given
from relay.yaml_text import Loc

_CLEAR = "http"


class HttpSettings(Section):
    """What holds for all HTTP requests that Relay makes."""

    clear_hosts: tuple[str, ...] = Field(
        (),
        examples=[["sandbox", "registry.internal"]],
        description="Hosts that may be called by `http://` although a token or a password goes "
        "with the request, which everybody on the way can read. This machine needs no entry.",
    )

    def may_be_clear(self, address: str) -> bool:
        """Whether a secret may go to this address: encrypted, to this machine, or named here."""
        parts = urlsplit(address)
        host = parts.hostname or ""
        return parts.scheme != _CLEAR or _is_loopback(host) or host in self.clear_hosts


def clear_problems(sections: Mapping[str, Any], given: Given, http: HttpSettings) -> Iterator[str]:
    """A line for each address that would carry a secret in clear to a host that is not named.

    An address carries the secrets of its own group: the one of `tracking` carries its token. That
    of a proxy carries none of them, but the password that it holds itself.
    """
    # Which addresses of a group count:
    #
    #     one with a secret  all of them: the secret goes there
    #     a proxy            if it holds a login itself: what goes through it is under TLS
    for loc, group in _groups(sections, ()):
        told = list(_proxies(group))
        if _has_secret(group):
            told += _addresses(group)
        for name, address in told:
            if not http.may_be_clear(address):
                where = (*loc, name)
                origin = given.origin(where)
                yield (
                    f"{f'{origin}: ' if origin else ''}{'.'.join(map(str, where))}: by http:// "
                    "everybody on the way can read the token or password that goes with a "
                    "request; use https://, or name the host in http.clear_hosts"
                )


def _groups(value: Any, loc: Loc) -> Iterator[tuple[Loc, BaseModel]]:
    if isinstance(value, BaseModel):
        yield loc, value
        for name in type(value).model_fields:
            yield from _groups(getattr(value, name, None), (*loc, name))
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _groups(inner, (*loc, name))
    elif isinstance(value, list | tuple):
        for number, inner in enumerate(value):
            yield from _groups(inner, (*loc, number))


def _has_secret(group: BaseModel) -> bool:
    return any(
        getattr(group, key, None) is not None
        for name, field in type(group).model_fields.items()
        if is_secret(field.annotation)
        for key in (name, name + FILE_SUFFIX)
    )


def _addresses(group: BaseModel) -> Iterator[tuple[str, str]]:
    """Texts of the group that are addresses. A proxy is none: through it TLS goes untouched."""
    for name in type(group).model_fields:
        value = getattr(group, name, None)
        for text in value if isinstance(value, list | tuple) else [value]:
            if isinstance(text, str) and "://" in text:
                yield name, text


def _proxies(group: BaseModel) -> Iterator[tuple[str, str]]:
    """Secrets of the group that are addresses with a login."""
    for name in type(group).model_fields:
        value = getattr(group, name, None)
        if isinstance(value, SecretStr):
            parts = http_parts(value.get_secret_value())
            if parts is not None and parts.username is not None:
                yield name, value.get_secret_value()


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
