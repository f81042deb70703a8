"""Options → an HTTP client for a vendor. Every client of `relay.apis` is made here.

The environment is not looked at (proxy variables, .netrc): what is not in the settings is not used.
"""

import ssl
from collections.abc import Callable, Generator
from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpx

# Every timeout on its own: a connection is made quickly or not at all, an answer may take long.
TIMEOUT = httpx.Timeout(connect=10.0, read=60.0, write=60.0, pool=10.0)
# The server reads and checks a whole upload before it answers.
UPLOAD_TIMEOUT = httpx.Timeout(connect=10.0, read=600.0, write=120.0, pool=10.0)


class TokenAuth(httpx.Auth):
    """Puts a token into `Authorization` as it is; asked for anew with every request."""

    def __init__(self, token: Callable[[], str]) -> None:
        self._token = token

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Add the header."""
        request.headers["Authorization"] = self._token()
        yield request


def open_client(
    base_url: str = "",
    *,
    auth: httpx.Auth | None = None,
    proxy: str | None = None,
    verify: ssl.SSLContext | bool = True,
) -> httpx.AsyncClient:
    """A client that keeps no cookies and reads nothing from the environment."""
    return httpx.AsyncClient(
        base_url=base_url,
        auth=auth,
        proxy=proxy,
        verify=verify,
        timeout=TIMEOUT,
        follow_redirects=False,
        trust_env=False,
        # Only Digital Audience has a session, and its client looks after that one cookie itself.
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
    )
