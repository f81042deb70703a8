"""Who may see the page, and who may change something. Pure.

- On loopback everybody who can connect sees the page: only this machine can.
- Beyond loopback the page asks for `admin.token`; without that setting there is no page.
- Whatever changes something, or shows content, asks for the token anywhere.

A browser shows the token once and has a cookie from then on, which only this page's address gets.
A page of another site cannot use it (`SameSite=Strict`), nor can a name that somebody let point
here (DNS rebinding): on loopback only names of loopback are served.
"""

import hashlib
import hmac
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field

COOKIE = "relay_page"
_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})


@dataclass(frozen=True, slots=True)
class Access:
    """`host` is the address that the port listens on."""

    host: str
    token: str | None = field(default=None, repr=False)

    @property
    def is_local(self) -> bool:
        """Whether only this machine can connect."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def is_off(self) -> bool:
        """Whether there is no page at all."""
        return self.token is None and not self.is_local

    def may_look(self, headers: Mapping[str, str], cookies: Mapping[str, str]) -> bool:
        """Whether this request may see the page and what it shows."""
        if self.is_local:
            host = headers.get("host", "")
            # A browser sends the name that it was pointed at. Any other name than loopback's means
            # that somebody let theirs point here (DNS rebinding).
            name = host if host.endswith("]") else host.rsplit(":", 1)[0]
            if name.lower() in _NAMES:
                return True
        return self.may_act(headers, cookies)

    def may_act(self, headers: Mapping[str, str], cookies: Mapping[str, str]) -> bool:
        """Whether this request has the token, as `Authorization: Bearer` or by the cookie."""
        if self.token is None:
            return False
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self.is_token(given.strip()):
            return True
        return hmac.compare_digest(cookies.get(COOKIE, "").encode(), self.cookie().encode())

    def is_token(self, given: str) -> bool:
        """Whether this is the token; how long that takes does not say how much of it is right."""
        return self.token is not None and hmac.compare_digest(given.encode(), self.token.encode())

    def cookie(self) -> str:
        """What the browser keeps in place of the token."""
        return hmac.new((self.token or "").encode(), b"relay page", hashlib.sha256).hexdigest()
