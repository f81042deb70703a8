"""Events and secrets that went in, and text that came out → where personal data got through.

What is looked for is every identifier of every event, as it is and in the forms in which software
likes to write it down: hashed, percent-encoded, in base64, in other letters.
"""

import base64
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

# Shorter values turn up by chance; a run that is to be scanned uses longer ones.
LENGTH_MIN = 5
_NOT_PERSONAL = {"compartment", "os", "registry", "type"}
_HASHES = ("md5", "sha1", "sha256", "sha512")


@dataclass(frozen=True, slots=True)
class Leak:
    """A line that holds what it must not, and which kind of thing it is."""

    line: int
    what: str


def watched(events: Iterable[Any], secrets: Iterable[str] = ()) -> dict[str, str]:
    """Every form of every identifier and secret, with what it is. Events are parsed or JSON."""
    forms: dict[str, str] = {}
    for event in events:
        parsed = json.loads(event) if isinstance(event, str | bytes) else event
        for what, value in _strings(parsed["user"], "user"):
            forms.update(dict.fromkeys(_forms(value), what))
    for secret in secrets:
        forms.update(dict.fromkeys(_forms(secret), "secret"))
    if not forms:
        raise ValueError("nothing to look for: the scan could not fail")
    return forms


def leaks(text: str | bytes, forms: Mapping[str, str]) -> list[Leak]:
    """Every line of the text that holds a watched form."""
    plain = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    return [
        Leak(number, what)
        for number, line in enumerate(plain.casefold().splitlines(), start=1)
        for what in sorted({forms[form] for form in forms if form in line})
    ]


def _forms(value: str) -> Iterator[str]:
    if len(value) < LENGTH_MIN:
        raise ValueError(f"{value!r} is too short to be looked for: it turns up by chance")
    for spelt in {value, value.lower(), value.upper(), value.strip().lower()}:
        raw = spelt.encode()
        yield spelt.casefold()
        yield quote(spelt, safe="").casefold()
        yield json.dumps(spelt)[1:-1].casefold()
        yield base64.b64encode(raw).decode().rstrip("=").casefold()
        for name in _HASHES:
            yield hashlib.new(name, raw, usedforsecurity=False).hexdigest()


def _strings(value: Any, what: str) -> Iterator[tuple[str, str]]:
    match value:
        case dict():
            for key, inner in value.items():
                if key not in _NOT_PERSONAL:
                    yield from _strings(inner, f"{what}.{key}")
        case list():
            for inner in value:
                yield from _strings(inner, what)
        case str():
            yield what, value
        case _:
            pass
