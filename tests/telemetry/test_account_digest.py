"""An account by its digests, and what the route of the tap takes of it."""

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette

from relay.telemetry.access import Access
from relay.telemetry.account_digest import digest_from, digest_of
from relay.telemetry.tap_route import tap_route

ACCOUNTS = st.text(st.characters(exclude_categories=["Cs"]))


@given(ACCOUNTS, ACCOUNTS)
def test_what_is_sent_fits_this_account_and_no_other(account, other):
    sent = str(digest_of(account))
    assert digest_from(sent) == digest_from(sent.upper()) == digest_of(account)
    assert digest_from(sent).fits(account.encode())
    assert digest_from(sent).fits(other.encode()) == (account == other)


@pytest.mark.parametrize("text", ["crm-1", "0" * 64, "0" * 79 + "g", "0" * 81])
async def test_an_account_that_is_no_digest_is_refused_without_its_value(text):
    app = Starlette(routes=[tap_route(Access("127.0.0.1", None), lambda *_: None)])
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        answer = await client.get("/tap", params={"account_digest": text})
    assert answer.status_code == 400
    assert answer.text == "account_digest: not a length, a CRC-32 and a SHA-256 in hex\n"
