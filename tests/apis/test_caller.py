"""One call to a vendor: when it is repeated, and what its failures mean."""

import random

import httpx
import pytest

from relay.apis import caller as module
from relay.apis.caller import Caller, CallRetryPolicy, no_answer, parse, retry_after_s
from relay.apis.errors import (
    AccessRefused,
    AnswerLost,
    AnswerUnusable,
    ApiError,
    LoginRefused,
    NotThere,
    Refused,
    ServerFault,
    Throttled,
    Unreachable,
    vendor_words,
)
from relay.errors import DestinationError, ExitStatus


class Vendor:
    """Answers from a list: a status, a response or an exception each."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.bodies = []
        self.waits = []

    async def handle(self, request):
        self.bodies.append(await request.aread())
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, httpx.Response) else httpx.Response(answer)

    async def sleep(self, seconds):
        self.waits.append(seconds)

    def caller(self, **options):
        client = httpx.AsyncClient(
            transport=httpx.MockTransport(self.handle), base_url="https://vendor"
        )
        return Caller("Vendor", client, random.Random(0), sleep=self.sleep, **options)


def leaves(cls):
    subclasses = cls.__subclasses__()
    return [cls] if not subclasses else [leaf for sub in subclasses for leaf in leaves(sub)]


@pytest.mark.parametrize("kind", [*leaves(httpx.HTTPError), httpx.InvalidURL])
def test_every_exception_of_httpx_has_a_meaning(kind):
    request = httpx.Request("GET", "https://vendor")
    if kind is httpx.HTTPStatusError:
        return  # only raise_for_status raises it, which we do not call
    error = kind("x") if kind is httpx.InvalidURL else kind("x", request=request)
    trouble = no_answer("w", error)
    assert isinstance(trouble, ApiError)
    # Only what failed before anything left may count as certainly not carried out.
    unsent = {
        httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError, httpx.PoolTimeout,
        httpx.UnsupportedProtocol, httpx.InvalidURL, httpx.LocalProtocolError,
    }  # fmt: skip
    assert trouble.performed == (kind not in unsent)


@pytest.mark.parametrize(
    ("status", "kind", "exit_status"),
    [
        (400, Refused, ExitStatus.INPUT),
        (401, LoginRefused, ExitStatus.DESTINATION),
        (403, AccessRefused, ExitStatus.DESTINATION),
        (404, NotThere, ExitStatus.INPUT),
        (413, Refused, ExitStatus.INPUT),
        (302, AnswerUnusable, ExitStatus.DESTINATION),
    ],
)
async def test_a_refusal_is_final_and_tells_what_to_do(status, kind, exit_status):
    vendor = Vendor(status)
    with pytest.raises(kind, match=f"Vendor: GET /x: {status}.*do this") as caught:
        await vendor.caller(hints={status: "do this"}).send("GET", "/x", repeatable=True)
    assert caught.value.exit_status is exit_status
    assert isinstance(caught.value, DestinationError)
    assert vendor.waits == []


@pytest.mark.parametrize(
    "answer", [500, 502, 503, 504, 408, httpx.ReadTimeout("x"), httpx.ReadError("x")]
)
async def test_what_may_be_repeated_is_tried_again_until_it_works(answer):
    vendor = Vendor(answer, answer, 200)
    assert (await vendor.caller().send("GET", "/x", repeatable=True)).status_code == 200
    assert len(vendor.waits) == 2


@pytest.mark.parametrize(
    "answer", [500, 502, 503, 408, httpx.ReadTimeout("x"), httpx.WriteError("x")]
)
async def test_what_must_not_be_repeated_is_not_when_it_may_have_been_carried_out(answer):
    vendor = Vendor(answer, 200)
    with pytest.raises(AnswerLost, match="may have been carried out"):
        await vendor.caller().send("POST", "/x", repeatable=False)
    assert len(vendor.answers) == 1


@pytest.mark.parametrize("answer", [429, httpx.ConnectError("x"), httpx.ConnectTimeout("x")])
async def test_what_certainly_was_not_carried_out_is_repeated_always(answer):
    vendor = Vendor(answer, 200)
    assert (await vendor.caller().send("POST", "/x", repeatable=False)).status_code == 200


@pytest.mark.parametrize(
    ("answer", "kind"),
    [(429, Throttled), (500, ServerFault), (httpx.ConnectError("x"), Unreachable)],
)
async def test_patience_ends(answer, kind):
    vendor = Vendor(*[answer] * 4)
    with pytest.raises(kind):
        await vendor.caller(retry=CallRetryPolicy(attempts=3)).send("GET", "/x", repeatable=True)
    assert len(vendor.waits) == 2


async def test_waits_grow_up_to_a_ceiling_and_are_spread():
    vendor = Vendor(*[500] * 7, 200)
    retry = CallRetryPolicy(attempts=8, wait_s=1, wait_s_max=8)
    await vendor.caller(retry=retry).send("GET", "/x", repeatable=True)
    ceilings = [1, 2, 4, 8, 8, 8, 8]
    assert all(c / 2 <= wait <= c for wait, c in zip(vendor.waits, ceilings, strict=True))
    assert len(set(vendor.waits)) == len(vendor.waits)


async def test_a_retry_after_is_obeyed_to_the_second():
    vendor = Vendor(httpx.Response(429, headers={"Retry-After": "7"}), 200)
    await vendor.caller().send("GET", "/x", repeatable=True)
    assert vendor.waits == [7]


async def test_a_retry_after_beyond_our_patience_ends_it():
    vendor = Vendor(httpx.Response(429, headers={"Retry-After": "9999"}), 200)
    with pytest.raises(Throttled):
        await vendor.caller().send("GET", "/x", repeatable=True)


def test_a_retry_after_may_be_a_date_or_nonsense():
    now = 1_767_225_600_000  # 2026-01-01T00:00:00Z
    assert retry_after_s("Thu, 01 Jan 2026 00:00:30 GMT", now) == 30
    assert retry_after_s("Wed, 31 Dec 2025 00:00:00 GMT", now) == 0
    assert retry_after_s("soon", now) is None
    assert retry_after_s("-1", now) is None


async def test_a_vendor_that_opens_a_ticket_for_each_500_gets_one():
    vendor = Vendor(500, 200)
    with pytest.raises(ServerFault):
        await vendor.caller(faults_final=True).send("GET", "/x", repeatable=True)
    assert len(vendor.answers) == 1


async def test_a_body_that_is_generated_is_generated_anew_for_each_attempt():
    async def pieces():
        yield b"a"
        yield b"b"

    vendor = Vendor(429, 200)
    await vendor.caller().send("POST", "/x", repeatable=False, content=pieces)
    assert vendor.bodies == [b"ab", b"ab"]


async def test_an_answer_is_bounded(monkeypatch):
    monkeypatch.setattr(module, "ANSWER_BYTES_MAX", 10)
    vendor = Vendor(httpx.Response(200, content=b"x" * 11))
    with pytest.raises(AnswerUnusable, match="larger than 10 bytes"):
        await vendor.caller().send("GET", "/x", repeatable=True)


async def test_a_download_goes_to_the_file_and_starts_over_with_each_attempt(tmp_path):
    vendor = Vendor(503, httpx.Response(200, content=b"whole"))
    path = tmp_path / "errors"
    await vendor.caller().send("GET", "/x", repeatable=True, into=path)
    assert path.read_bytes() == b"whole"


def test_an_answer_that_is_not_as_documented_is_named_without_its_content():
    with pytest.raises(AnswerUnusable) as caught:
        parse("w", dict[str, int], b'{"jane@example.com": "secret"}')
    assert "secret" not in str(caught.value)
    assert "w: the answer is not as documented" in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        'line 3: user "crm-881" unknown',
        "no user jane@example.com",
        "account 7636538281262557111 rejected",
        "hash 5f4dcc3b5aa765d61d8327deb882cf99 unknown",
        "user 'o''brien' unknown",
    ],
)
def test_a_vendors_words_lose_what_may_identify_somebody(text):
    words = vendor_words(text)
    for secret in ("crm-881", "jane", "7636538281262557111", "5f4dcc3b", "brien"):
        assert secret not in words
    assert "unknown" in words or "rejected" in words or "no user" in words
