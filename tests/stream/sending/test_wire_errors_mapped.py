"""Every exception of the HTTP clients has a meaning: a new one in an update fails here."""

import inspect

import httpx
import pyreqwest.exceptions
import pytest

from relay.model import NoAnswer
from relay.stream.sending import wire_fast, wire_httpx

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

PYREQWEST_BASES = {
    pyreqwest.exceptions.PyreqwestError: "a base class",
    pyreqwest.exceptions.DetailedPyreqwestError: "a base class",
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


@pytest.mark.parametrize("cls", exceptions_of(pyreqwest.exceptions), ids=lambda cls: cls.__name__)
def test_every_exception_of_pyreqwest_is_mapped(cls):
    mapped = meaning_of(cls, wire_fast.MEANING) is not None
    assert mapped != (cls in PYREQWEST_BASES)


def test_the_clients_have_the_exceptions_that_this_looks_for():
    assert len(exceptions_of(httpx)) > 25
    assert len(exceptions_of(pyreqwest.exceptions)) > 15


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


@pytest.mark.parametrize("module", [wire_fast, wire_httpx])
def test_an_error_nobody_foresaw_is_broken(module):
    assert module.meaning(RuntimeError("a defect of the client")) is NoAnswer.BROKEN


def test_a_failed_connect_is_told_from_a_connection_that_broke_by_its_causes():
    def error(cause: str) -> Exception:
        causes = [{"message": cause}]
        return pyreqwest.exceptions.ConnectError("connection error", {"causes": causes})

    assert wire_fast.meaning(error("client error (Connect)")) is NoAnswer.CONNECT
    assert wire_fast.meaning(error("client error (SendRequest)")) is NoAnswer.BROKEN
