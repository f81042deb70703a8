import gzip
import random
import ssl
from uuid import UUID

import httpx
import pytest

from relay.errors import SettingsError
from relay.sources.formats import FormatName
from relay.sources.formats.schemas import SchemaKind, SchemaUnusable
from relay.sources.registry.client import NotFound, RegistryClient, SchemaText, Unavailable
from relay.sources.registry.policy import RegistryPolicy
from relay.vendors import open_schema_loader
from tests.support.certificates import CertificateAuthority
from tests.support.registry_stand_in import NOT_THERE, registry_stand_in, schema_answer
from tests.support.schemas import fetching, record, registry_policy

GUID = "0a1b2c3d-0000-4000-8000-00000000beef"


async def look_up(respond, key=7, **options):
    with registry_stand_in(respond) as url:
        async with httpx.AsyncClient(trust_env=False) as http:
            policy = registry_policy(*options.pop("urls", lambda url: (url,))(url), **options)
            return await RegistryClient(http, policy).look_up(key)


async def test_a_schema_is_asked_for_by_id_or_by_guid():
    asked = []

    def respond(path, headers):
        asked.append((path, headers["accept"]))
        return schema_answer(schema='"string"', schemaType="JSON")

    assert await look_up(respond) == SchemaText(SchemaKind.JSON, '"string"')
    assert await look_up(respond, GUID) == SchemaText(SchemaKind.JSON, '"string"')
    accept = "application/vnd.schemaregistry.v1+json, application/json"
    assert asked == [("/schemas/ids/7", accept), (f"/schemas/guids/{GUID}", accept)]


async def test_a_record_with_the_guid_of_its_schema_in_a_header_is_read():
    def respond(path, headers):
        return schema_answer(schema='{"type":"record","name":"R","fields":[]}')

    header = ("__value_schema_id", b"\1" + UUID(GUID).bytes)
    with registry_stand_in(respond) as url:
        async with fetching(url, FormatName.AVRO) as decoder:
            assert await decoder.decode(record(b"", [header])) == ({"_schema": "R"},)
            assert decoder.fetched == [GUID]


async def test_references_come_before_what_refers_to_them_and_each_once():
    tree = {
        "/schemas/ids/7": ("top", ["b/ b", "a"]),
        "/subjects/b%2F%20b/versions/1": ("b", ["a"]),
        "/subjects/a/versions/1": ("a", []),
    }

    def respond(path, headers):
        text, refers = tree[path]
        references = [{"name": f"n-{name}", "subject": name, "version": 1} for name in refers]
        return schema_answer(schema=text, references=references)

    found = await look_up(respond)
    assert found == SchemaText(SchemaKind.AVRO, "top", (("n-a", "a"), ("n-b/ b", "b")))


@pytest.mark.parametrize(
    ("references", "what"),
    [
        ([{"name": "self", "subject": "s", "version": 1}], "references that form a circle"),
        ([{"name": "x"}], "a reference without name, subject and version"),
        ([{"name": 1, "subject": "s", "version": 1}], "a reference without name"),
        (["x"], "a reference without name"),
    ],
)
async def test_references_that_lead_nowhere_make_the_schema_unusable(references, what):
    with pytest.raises(SchemaUnusable, match=what):
        await look_up(lambda path, headers: schema_answer(schema="x", references=references))


async def test_too_many_references_make_the_schema_unusable():
    def respond(path, headers):
        deeper = path.count("x") + 1
        reference = {"name": "x" * deeper, "subject": "x" * deeper, "version": 1}
        return schema_answer(schema="s", references=[reference])

    with pytest.raises(SchemaUnusable, match="more than 5 references"):
        await look_up(respond, references_max=5)


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (NOT_THERE, NotFound()),
        ((404, {}, b'{"error_code": 40401}'), NotFound()),
        ((404, {}, b"<html>"),
         Unavailable("it answered 404 and is no registry: check its address", refused=True)),
        ((401, {}, b"secret"), Unavailable("it answered 401: check its credentials", refused=True)),
        ((403, {}, b""), Unavailable("it answered 403: check its credentials", refused=True)),
        ((500, {}, b"secret"), Unavailable("it answered 500")),
        ((503, {"retry-after": "7"}, b""), Unavailable("it answered 503", retry_after_s=7.0)),
        ((302, {"location": "/x"}, b""), Unavailable("it answered 302")),
        ((200, {}, b"<html>"),
         Unavailable("an answer that is not JSON: check its address", refused=True)),
        ((200, {}, b'{"status": "ok"}'),
         Unavailable("an answer that is no schema: check its address", refused=True)),
    ],
)  # fmt: skip
async def test_each_answer_means_something_and_none_is_quoted(answer, found):
    assert await look_up(lambda path, headers: answer) == found


async def test_a_guid_is_not_there_where_the_registry_knows_no_guids():
    # Apicurio 2.6: no such path, and an error code that says nothing.
    answer = (404, {}, b'{"error_code": 0}')
    assert await look_up(lambda path, headers: answer, GUID) == NotFound()


async def test_of_several_addresses_the_next_is_asked_and_the_one_that_answered_is_kept():
    asked = []

    def respond(path, headers):
        asked.append(path)
        return schema_answer(schema="x")

    with registry_stand_in(respond) as good, registry_stand_in(lambda *_: (500, {}, b"")) as bad:
        async with httpx.AsyncClient(trust_env=False) as http:
            closed = "http://127.0.0.1:9"
            client = RegistryClient(http, registry_policy(closed, bad, good))
            assert isinstance(await client.look_up(1), SchemaText)
            assert isinstance(await client.look_up(2), SchemaText)
            assert client._first == 2
    assert asked == ["/schemas/ids/1", "/schemas/ids/2"]


async def test_an_id_is_unknown_only_where_no_member_failed_to_answer():
    with registry_stand_in(lambda *_: NOT_THERE) as url:
        async with httpx.AsyncClient(trust_env=False) as http:
            both = registry_policy(url, "http://127.0.0.1:9")
            assert isinstance(await RegistryClient(http, both).look_up(1), Unavailable)
            assert await RegistryClient(http, registry_policy(url, url)).look_up(1) == NotFound()


async def test_an_answer_that_unpacks_to_more_than_the_limit_is_not_read_to_its_end():
    bomb = gzip.compress(b"x" * 10_000_000)
    answer = (200, {"content-encoding": "gzip"}, bomb)
    with pytest.raises(SchemaUnusable, match="more than 100000 bytes"):
        await look_up(lambda path, headers: answer, schema_bytes_max=100_000)


async def test_a_schema_of_a_kind_that_nobody_reads_is_unusable():
    with pytest.raises(SchemaUnusable, match="of a type that Relay does not read"):
        await look_up(lambda *_: schema_answer(schema="x", schemaType="THRIFT"))


async def resolved(url, **settings):
    given = RegistryPolicy(urls=[url], unknown_wait_s=0, **settings)
    async with open_schema_loader(given, random.Random(1), lambda _fact: None) as loader:
        await loader.resolve(7)
        return loader.schemas.get(7)


@pytest.fixture
def logins():
    """The registry answers, and this is what it was sent to log in with."""
    seen = []

    def respond(path, headers):
        seen.append(headers.get("authorization"))
        return schema_answer(schema='"string"')

    return respond, seen


async def test_it_logs_in_as_the_settings_say(logins, tmp_path):
    respond, seen = logins
    token = tmp_path / "token"
    token.write_text("from-file\n")
    with registry_stand_in(respond) as url:
        await resolved(url)
        await resolved(url, username="u", password="p")
        await resolved(url, token="t-1")
        await resolved(url, token_file=token)
    assert seen == [None, "Basic dTpw", "Bearer t-1", "Bearer from-file"]


async def test_it_shows_its_certificate(logins, tmp_path):
    respond, seen = logins
    authority = CertificateAuthority(tmp_path)
    own, ours = authority.issue("localhost"), authority.issue("relay")
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(own.cert, own.key)
    server.load_verify_locations(authority.cert)
    server.verify_mode = ssl.CERT_REQUIRED
    with registry_stand_in(respond, server) as url:
        found = await resolved(
            url,
            ca_file=authority.cert,
            client_cert_file=ours.cert,
            client_key_file=ours.key,
        )
    assert found is not None
    assert len(seen) == 1


async def test_a_file_that_is_not_there_names_its_setting(tmp_path):
    for name in ("ca_file", "client_cert_file", "token_file"):
        with pytest.raises(SettingsError, match=rf"schema_registry\.{name}"):
            await resolved("http://127.0.0.1:9", **{name: tmp_path / "gone"})


@pytest.mark.parametrize(
    "given",
    [
        {"urls": []},
        {"urls": ["ftp://x"]},
        {"urls": ["http://user:password@x"]},
        {"urls": ["http://x"], "username": "u"},
        {"urls": ["http://x"], "token": "t", "token_file": "f"},
        {"urls": ["http://x"], "client_key_file": "f"},
    ],
)
def test_settings_that_contradict_themselves_are_refused(given):
    with pytest.raises(ValueError, match=r"schema_registry|urls|username|token|client_key_file"):
        RegistryPolicy(**given)
