"""One look-up of a schema over HTTP, with the schemas that it refers to. Never retries, never logs.

    GET /schemas/ids/{id}, /schemas/guids/{guid}      the schema
    GET /subjects/{subject}/versions/{version}        a reference
    GET /subjects/{subject}/versions/latest           what `relay check` asks

A schema without `schemaType` is Avro. No text of an answer is repeated in a reason: a registry's
error may quote what it was asked for, and a proxy's may hold anything.
"""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import httpx
import jiter

from relay.apis.caller import retry_after_s
from relay.clock import Clock, SystemClock
from relay.model import SchemaKey
from relay.sources.formats.schemas import SchemaKind, SchemaUnusable
from relay.sources.registry.policy import RegistryPolicy

_HEADERS = {"Accept": "application/vnd.schemaregistry.v1+json, application/json"}
_NO_SUCH = (HTTPStatus.NOT_FOUND, HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY)


@dataclass(frozen=True, slots=True)
class SchemaText:
    """A schema as the registry has it.

    `references` are by the names that its text uses, those that need no other first.
    """

    kind: SchemaKind
    text: str
    references: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class NotFound:
    """The registry answers, and has no such schema."""


@dataclass(frozen=True, slots=True)
class Unavailable:
    """The registry cannot be asked. `refused`: it does not let us; somebody has to act."""

    reason: str
    refused: bool = False
    retry_after_s: float | None = None


class _Away(Exception):
    """Carries why not out of a chain of requests."""

    def __init__(self, why: NotFound | Unavailable) -> None:
        super().__init__()
        self.why = why


class RegistryClient:
    """A registry, by the addresses of its members."""

    def __init__(
        self, client: httpx.AsyncClient, policy: RegistryPolicy, clock: Clock | None = None
    ) -> None:
        self._client = client
        self._policy = policy
        self._clock = clock or SystemClock()
        self._first = 0
        self._proven = False

    async def look_up(self, key: SchemaKey) -> SchemaText | NotFound | Unavailable:
        """The schema, and all that it refers to. Raises SchemaUnusable where it cannot be used."""
        kind = "ids" if isinstance(key, int) else "guids"
        try:
            found = await self._get(f"/schemas/{kind}/{quote(str(key), safe='')}")
            if found is None:
                return NotFound()
            schema_kind, text = _kind(found), _text(found)
            references: dict[str, str] = {}
            await self._gather(found, references, ())
            if sum(map(len, references.values())) > self._policy.schema_bytes_max:
                raise SchemaUnusable("is, with its references, too large")
        except _Away as away:
            return away.why
        return SchemaText(schema_kind, text, tuple(references.items()))

    async def kind_of(self, subject: str) -> SchemaKind | NotFound | Unavailable:
        """The language of a subject's newest schema. Raises SchemaUnusable for one we do not read.

        To ask for a subject that nobody has shows whether the registry answers and lets us in.
        """
        try:
            found = await self._get(f"/subjects/{quote(subject, safe='')}/versions/latest")
        except _Away as away:
            return away.why
        return NotFound() if found is None else _kind(found)

    async def _gather(
        self, schema: dict[str, Any], found: dict[str, str], above: tuple[str, ...]
    ) -> None:
        """The references of a schema, each behind those that it refers to itself."""
        for reference in schema.get("references") or ():
            try:
                name, subject = reference["name"], reference["subject"]
                version = int(reference["version"])
            except (KeyError, TypeError, ValueError):
                raise SchemaUnusable("has a reference without name, subject and version") from None
            if not isinstance(name, str) or not isinstance(subject, str):
                raise SchemaUnusable("has a reference without name, subject and version")
            if name in found:
                continue
            if name in above:
                raise SchemaUnusable("has references that form a circle")
            if len(found) + len(above) >= self._policy.references_max:
                raise SchemaUnusable(f"has more than {self._policy.references_max} references")
            path = f"/subjects/{quote(subject, safe='')}/versions/{version}"
            inner = await self._get(path)
            if inner is None:
                # Registered before what refers to it: so it is on its way, or was deleted.
                raise _Away(NotFound())
            await self._gather(inner, found, (*above, name))
            found[name] = _text(inner)

    async def _get(self, path: str) -> dict[str, Any] | None:
        """An answer, from the member that answered last or else the next; None is "not found"."""
        urls = self._policy.urls
        why: Unavailable | None = None
        # The first member that has it ends the round. If none has: "not found" counts only when
        # every member said so, else what kept one from answering is told, a refusal before a
        # failure.
        for turn in range(len(urls)):
            index = (self._first + turn) % len(urls)
            answer = await self._ask(urls[index], path)
            if isinstance(answer, Unavailable):
                # What needs somebody is said rather than what may pass.
                why = answer if why is None or answer.refused else why
            elif isinstance(answer, dict):
                self._first = index
                return answer
            # Not found: another member may have it already.
        if why is not None:
            raise _Away(why)
        return None

    async def _ask(self, url: str, path: str) -> dict[str, Any] | NotFound | Unavailable:
        body = bytearray()
        try:
            async with self._client.stream("GET", url + path, headers=_HEADERS) as response:
                async for chunk in response.aiter_bytes():
                    body += chunk
                    if len(body) > self._policy.schema_bytes_max:
                        raise SchemaUnusable(f"has more than {self._policy.schema_bytes_max} bytes")
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return Unavailable(f"no answer ({type(error).__name__})")
        return self._judge(response, path, bytes(body))

    def _judge(  # noqa: PLR0911 - a return for each way an answer can be wrong
        self, response: httpx.Response, path: str, body: bytes
    ) -> dict[str, Any] | NotFound | Unavailable:
        status = response.status_code
        if status in _NO_SUCH:
            # A 404 without a code of the registry's own (40401, 40403) is a wrong address, if
            # nothing was ever found there. Older registries know no GUIDs, whatever they answer.
            if self._proven or path.startswith("/schemas/guids/") or _is_registrys(body):
                return NotFound()
            return Unavailable(
                f"it answered {status} and is no registry: check its address", refused=True
            )
        if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            return Unavailable(f"it answered {status}: check its credentials", refused=True)
        if status != HTTPStatus.OK:
            asked = retry_after_s(response.headers.get("retry-after"), self._clock.now_ms())
            return Unavailable(f"it answered {status}", retry_after_s=asked)
        try:
            found = jiter.from_json(body)
        except ValueError:
            return Unavailable("an answer that is not JSON: check its address", refused=True)
        if not isinstance(found, dict) or not isinstance(found.get("schema"), str):
            return Unavailable("an answer that is no schema: check its address", refused=True)
        self._proven = True
        return found


def _is_registrys(body: bytes) -> bool:
    try:
        found = jiter.from_json(body)
    except ValueError:
        return False
    code = found.get("error_code") if isinstance(found, dict) else None
    return isinstance(code, int) and str(code).startswith("404")


def _kind(found: dict[str, Any]) -> SchemaKind:
    try:
        return SchemaKind(found.get("schemaType") or "AVRO")
    except ValueError:
        raise SchemaUnusable("is of a type that Relay does not read") from None


def _text(found: dict[str, Any]) -> str:
    return str(found["schema"])
