"""The client of user points: what it makes of answers, and what it never says."""

import asyncio
import json
import random

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.apis.caller import Caller, CallRetryPolicy
from relay.apis.errors import AnswerUnusable, NotThere, Refused, ServerFault
from relay.apis.mediarithmics_user_points import UserPoints
from relay.model import Request
from relay.stream.mapping.requests import by_account, choice_path, choices_path

PATH = choice_path("1234", by_account("1000", "crm-88100"), "7")
PUT = Request("PUT", PATH, b'{"$choice_ts":"1","$choice_acceptance_value":true,"by":"Jane Doe"}')


def answering(*answers):
    asked, left = [], list(answers)

    def handle(request):
        asked.append(request)
        status, body = left.pop(0) if len(left) > 1 else left[0]
        return httpx.Response(status, content=body if isinstance(body, bytes) else json.dumps(body))

    async def sleep(_):
        pass

    client = httpx.AsyncClient(transport=httpx.MockTransport(handle), base_url="https://api.test")
    retry = CallRetryPolicy(attempts=3)
    return UserPoints(Caller("mediarithmics", client, random.Random(0), retry, sleep)), asked


async def test_a_request_goes_out_as_it_was_mapped():
    api, asked = answering((200, {"status": "ok", "data": {"$choice_ts": 1}}))
    assert await api.put(PUT) == {"$choice_ts": 1}
    assert asked[0].url.raw_path == PATH.encode()
    assert asked[0].content == PUT.body
    assert asked[0].headers["content-type"] == "application/json"


async def test_a_lost_answer_is_asked_for_again_because_repeating_changes_nothing():
    api, asked = answering((500, b""), (429, b""), (200, {"status": "ok", "data": {}}))
    await api.put(PUT)
    assert len(asked) == 3


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((404, {"status": "error", "error": "Resource Not Found"}), NotThere),
        ((400, {"status": "error", "error": "invalid"}), Refused),
        ((200, {"status": "error", "error": "invalid"}), Refused),
        ((200, b"<html>welcome</html>"), AnswerUnusable),
        ((302, b""), AnswerUnusable),
        ((500, b""), ServerFault),
    ],
)
async def test_what_is_no_success_is_an_error_that_names_nobody(answer, error):
    api, _ = answering(answer)
    with pytest.raises(error) as caught:
        await api.put(PUT)
    assert "crm-88100" not in str(caught.value)
    assert "…/user_choices/processing_id" in str(caught.value)


@given(st.sampled_from(["crm-88100", "CRM-88100", "Jane Doe"]), st.sampled_from(["{}", "no {}!"]))
def test_the_vendors_words_are_left_out_where_they_quote_what_was_sent(value, words):
    api, _ = answering((400, {"status": "error", "error": words.format(value)}))
    with pytest.raises(Refused) as caught:
        asyncio.run(api.put(PUT))
    assert value.casefold() not in str(caught.value).casefold()


async def test_words_that_quote_nothing_are_told():
    api, _ = answering((400, {"status": "error", "error": "Processing is archived"}))
    with pytest.raises(Refused, match="Processing is archived"):
        await api.put(PUT)


async def test_choices_are_read_page_by_page():
    pages = [
        (200, {"status": "ok", "count": 100, "data": [{"n": n} for n in range(100)]}),
        (200, {"status": "ok", "count": 1, "data": [{"n": 100}]}),
    ]
    api, asked = answering(*pages)
    found = await api.choices(choices_path("1234", "email_hash=h"))
    assert [choice["n"] for choice in found] == list(range(101))
    assert [dict(request.url.params) for request in asked] == [
        {"first_result": "0", "max_results": "100"},
        {"first_result": "100", "max_results": "100"},
    ]


async def test_nothing_to_list_is_an_empty_list():
    api, _ = answering((404, {"status": "error", "error": "Resource Not Found"}))
    assert await api.choices(PATH) == []
