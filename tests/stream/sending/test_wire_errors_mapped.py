"""Every exception of httpx has a meaning: a new one in an update fails here."""

import inspect

import httpx
import pytest

from relay.model import NoAnswer
from relay.stream.sending import wire_httpx

# What cannot come out of one attempt, with the reason.
NEVER_RAISED_BY_AN_ATTEMPT = {
    httpx.HTTPStatusError: "raised by raise_for_status, which is not called",
    httpx.CookieConflict: "raised by cookie look-ups, which are not made",
    httpx.InvalidURL: "the base address is checked when the settings load",
    httpx.TooManyRedirects: "redirects are not followed",
    httpx.StreamError: "the body is read once, in order, inside `send`",
    httpx.StreamConsumed: "the body is read once, in order, inside `send`",
    httpx.StreamClosed: "the body is read once, in order, inside `send`",
    httpx.ResponseNotRead: "the body is read once, in order, inside `send`",
    httpx.RequestNotRead: "request bodies are bytes",
    httpx.HTTPError: "a base class",
    httpx.RequestError: "a base class",
    httpx.TransportError: "a base class",
}


def exceptions_of(module) -> list[type[Exception]]:
    return sorted(
        {
            value
            for value in vars(module).values()
            if inspect.isclass(value)
            and issubclass(value, Exception)
            and value.__module__.split(".")[0] == module.__name__.split(".")[0]
        },
        key=lambda cls: cls.__name__,
    )


def meaning_of(cls: type[Exception], table) -> NoAnswer | None:
    return next((table[base] for base in cls.__mro__ if base in table), None)


@pytest.mark.parametrize("cls", exceptions_of(httpx), ids=lambda cls: cls.__name__)
def test_every_exception_of_httpx_is_mapped_or_known_never_to_come(cls):
    mapped = meaning_of(cls, wire_httpx.MEANING) is not None
    assert mapped != (cls in NEVER_RAISED_BY_AN_ATTEMPT)


def test_the_client_has_the_exceptions_that_this_looks_for():
    assert len(exceptions_of(httpx)) > 25


@pytest.mark.parametrize(
    ("cls", "expected"),
    [
        (httpx.ConnectTimeout, NoAnswer.TIMEOUT),
        (httpx.PoolTimeout, NoAnswer.TIMEOUT),
        (httpx.ConnectError, NoAnswer.CONNECT),
        (httpx.ProxyError, NoAnswer.CONNECT),
        (httpx.ReadError, NoAnswer.BROKEN),
        (httpx.RemoteProtocolError, NoAnswer.BROKEN),
    ],
)
def test_the_most_special_class_decides(cls, expected):
    assert wire_httpx.meaning(cls("said")) is expected


def test_an_error_nobody_foresaw_is_broken():
    assert wire_httpx.meaning(RuntimeError("a defect of the client")) is NoAnswer.BROKEN
