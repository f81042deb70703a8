"""Where the vendors' APIs are and who logs in: what settings say of them, without a client."""

from collections.abc import Mapping
from dataclasses import dataclass, field

MPARTICLE_URL = "https://query.indicative-prod.mparticle.com"
"""mParticle Analytics, the Query API."""
PATHS: Mapping[str, str] = {
    # As in the page's samples, and in its headings where there is no sample of the call.
    "segment": "/Segment/loadsegmentbyid/{id}",
    "segments": "/segment/audience:{id}",
    "extend": "/api/segment/updateenddate",
    "delete": "/segment/{id}",
    "create": "/api/audience/create/api/audience/createcrmaudience",
    # From other pages of the vendor.
    "accounts": "/organisation/loadplatformaccounts",
    "login": "/account/login",
}
"""Digital Audience: the calls and their paths."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who logs in to Digital Audience. With a cookie of one's own nobody does."""

    user_name: str = ""
    password: str = field(default="", repr=False)
    cookie: str | None = field(default=None, repr=False)
