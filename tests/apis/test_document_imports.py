"""mediarithmics bulk imports: the client against the stand-in, over real HTTP."""

import hashlib
import json
import random

import httpx
import pytest

from relay.apis.caller import Caller
from relay.apis.errors import (
    AnswerLost,
    AnswerUnusable,
    LoginRefused,
    NotThere,
    Refused,
)
from relay.apis.mediarithmics_document_imports import (
    DocumentImports,
    Execution,
    Phase,
)
from relay.disk import LocalStateError
from relay.sandbox.document_imports import document_imports
from tests.support.segment_world import TOKEN

NDJSON = "APPLICATION_X_NDJSON"
IMPORTS = "/v1/datamarts/1234/document_imports"


def lines(*users, **fields):
    base = {"operation": "UPDATE", "expiration_duration": 60, "segment_id": "7"} | fields
    return "".join(json.dumps(base | {"user_account_id": user}) + "\n" for user in users)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "part-0001.ndjson"
    path.write_text(lines("a", "b"))
    return path


async def finished(world, imports, import_id):
    await world.clock.sleep(1)
    [execution] = await imports.executions(import_id)
    return execution


async def test_a_file_becomes_members_of_the_segment(world, file):
    imports = await world.imports()
    made = await imports.create("relay-1", NDJSON)
    assert made.name == "relay-1"
    started = await imports.start(made.id, file, "application/x-ndjson")
    assert (started.status, started.phase) == ("PENDING", Phase.RUNNING)
    done = await finished(world, imports, made.id)
    assert done.id == started.id
    assert (done.phase, done.succeeded, done.failed) == (Phase.SUCCEEDED, 2, 0)
    hour = world.clock.ms + 3_600_000
    assert await world.members("7") == {"a": hour, "b": hour}


async def test_the_request_is_the_one_of_the_vendors_sample(world, file):
    imports = await world.imports()
    made = await imports.create("relay-1", NDJSON)
    stored = document_imports(world.state).imports[made.id]
    assert {key: stored[key] for key in ("document_type", "mime_type", "encoding", "name")} == {
        "document_type": "USER_SEGMENT",
        "mime_type": NDJSON,
        "encoding": "utf-8",
        "name": "relay-1",
    }


async def test_both_requests_go_out_as_the_page_shows_them(world, file):
    imports = await world.imports()
    seen = []

    async def look(request):
        body = b"" if "executions" in request.url.path else request.content
        seen.append((request.method, request.url.path, request.headers, body))

    imports._caller.client.event_hooks = {"request": [look]}
    made = await imports.create("relay-1", NDJSON)
    await imports.start(made.id, file, "application/x-ndjson")
    (method, path, headers, body), upload = seen
    assert (method, path) == ("POST", IMPORTS)
    assert headers["content-type"] == "application/json"
    assert headers["authorization"] == TOKEN  # as it is, without a scheme
    assert json.loads(body) == {
        "document_type": "USER_SEGMENT",
        "mime_type": "APPLICATION_X_NDJSON",
        "encoding": "utf-8",
        "name": "relay-1",
    }
    assert upload[:2] == ("POST", f"{IMPORTS}/{made.id}/executions")
    assert upload[2]["content-type"] == "application/x-ndjson"
    assert upload[2]["authorization"] == TOKEN
    [stored] = await world.uploads()
    assert stored["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()


async def test_a_csv_travels_as_text_csv(world, tmp_path):
    path = tmp_path / "part.csv"
    path.write_text(
        "OPERATION,EMAIL_HASH,SEGMENT_TECHNICAL_NAME,EXPIRATION_DURATION\nUPDATE,ab,vip,0\n"
    )
    imports = await world.imports()
    made = await imports.create("relay-1", "TEXT_CSV")
    await imports.start(made.id, path, "text/csv")
    done = await finished(world, imports, made.id)
    assert done.succeeded == 1
    assert await world.members("vip", "technical_name") == {"ab": None}


async def test_the_statuses_are_walked_and_understood(world, file):
    await world.put("imports", pending_ms=1000, running_ms=1000)
    imports = await world.imports()
    made = await imports.create("relay-1", NDJSON)
    await imports.start(made.id, file, "application/x-ndjson")
    seen = []
    for _ in range(3):
        [execution] = await imports.executions(made.id)
        seen.append(execution.status)
        await world.clock.sleep(1)
    assert seen == ["PENDING", "RUNNING", "SUCCEEDED"]


@pytest.mark.parametrize(
    ("status", "phase"),
    [
        ("PENDING", Phase.RUNNING),
        ("RUNNING", Phase.RUNNING),
        ("SCHEDULED", Phase.RUNNING),
        ("WAITING_DEPENDENT_JOB", Phase.RUNNING),
        ("SUCCEEDED", Phase.SUCCEEDED),
        ("SUCCESS", Phase.SUCCEEDED),
        ("FAILED", Phase.FAILED),
        ("CANCELED", Phase.CANCELED),
        ("EXECUTOR_NOT_RESPONDING", Phase.FAILED),
        ("LOST", Phase.FAILED),
        ("SOMETHING_NEW", Phase.RUNNING),
    ],
)
def test_every_status_has_a_meaning_and_a_new_one_is_not_guessed(status, phase):
    assert Execution("1", status).phase is phase


async def test_rejected_lines_are_counted_and_the_error_file_names_them(world, file, tmp_path):
    await world.put("imports", reject_containing='"b"')
    imports = await world.imports()
    made = await imports.create("relay-1", NDJSON)
    await imports.start(made.id, file, "application/x-ndjson")
    done = await finished(world, imports, made.id)
    assert (done.phase, done.succeeded, done.failed) == (Phase.SUCCEEDED, 1, 1)
    await imports.error_file(done.error_file_uri, tmp_path / "errors")
    [rejected] = (tmp_path / "errors").read_text().splitlines()
    assert json.loads(rejected)["document"]["user_account_id"] == "b"


async def test_an_error_file_that_is_not_there_is_said(world, tmp_path):
    imports = await world.imports()
    with pytest.raises(NotThere):
        await imports.error_file("mics://data_file/errors/1.errors", tmp_path / "errors")


@pytest.mark.parametrize(
    ("options", "counts"),
    [
        ({"counts": "parameters"}, (2, 0)),
        ({"counts": "none"}, (None, None)),
        ({"counts": "wrong"}, (3, 0)),
    ],
)
async def test_counts_are_read_where_they_are_and_are_nothing_where_they_are_not(
    world, file, options, counts
):
    await world.put("imports", **options)
    imports = await world.imports()
    made = await imports.create("relay-1", NDJSON)
    await imports.start(made.id, file, "application/x-ndjson")
    done = await finished(world, imports, made.id)
    assert (done.succeeded, done.failed) == counts


async def test_a_failed_execution_says_so(world, file):
    await world.put("imports", fail_rate=1)
    imports = await world.imports()
    made = await imports.create("relay-1", NDJSON)
    await imports.start(made.id, file, "application/x-ndjson")
    done = await finished(world, imports, made.id)
    assert (done.phase, done.error) == (Phase.FAILED, "the executor stopped")


async def test_of_a_long_list_only_the_pages_that_are_needed_are_read(world, file):
    imports = await world.imports()
    made = await imports.create("relay-1", NDJSON)
    ids = [(await imports.start(made.id, file, "application/x-ndjson")).id for _ in range(120)]

    async def pages(until):
        before = len(await world.requests())
        found = {execution.id for execution in await imports.executions(made.id, until=until)}
        assert (until or set(ids)) <= found
        return len(await world.requests()) - before

    assert await pages({ids[-1]}) == 1  # the newest stand first
    assert await pages({ids[0]}) == 3
    assert await pages(None) == 3


async def test_an_id_that_comes_as_a_number_keeps_every_digit(world, file):
    await world.put("imports", ids_as_numbers=True)
    imports = await world.imports()
    made = await imports.create("relay-1", NDJSON)
    assert int(made.id) > 2**53
    started = await imports.start(made.id, file, "application/x-ndjson")
    assert [execution.id for execution in await imports.executions(made.id)] == [started.id]


async def test_imports_are_found_by_the_beginning_of_their_name_over_all_pages(world):
    imports = await world.imports()
    wanted = [await imports.create(f"relay-1-{number:03d}", NDJSON) for number in range(120)]
    await imports.create("other-relay-1-", NDJSON)
    assert await imports.find("relay-1-") == wanted
    assert await imports.find("relay-2") == []


async def test_making_an_import_is_repeated_because_one_too_many_is_only_a_name(world):
    imports = await world.imports()
    await world.faults({"kind": "lost_answer", "method": "POST", "times": 1})
    made = await imports.create("relay-1", NDJSON)
    assert (await imports.find("relay-1"))[-1] == made
    assert len(await imports.find("relay-1")) == 2


async def test_a_lost_answer_is_not_repeated_and_what_became_of_it_can_be_found(world, file):
    imports = await world.imports()
    made = await imports.create("relay-1", NDJSON)
    await world.faults({"kind": "lost_answer", "method": "POST"})
    with pytest.raises(AnswerLost):
        await imports.start(made.id, file, "application/x-ndjson")
    assert len(await imports.executions(made.id)) == 1
    assert [path for method, path, _ in await world.requests() if method == "POST"] == [
        IMPORTS,
        f"{IMPORTS}/{made.id}/executions",
    ]


async def test_an_upload_that_is_throttled_is_repeated_whole(world, file):
    imports = await world.imports()
    made = await imports.create("relay-1", NDJSON)
    await world.faults(
        {"kind": "status", "status": 429, "retry_after_s": 3, "times": 1, "path": "*/executions"}
    )
    await imports.start(made.id, file, "application/x-ndjson")
    assert world.clock.waits == [3]
    assert (await finished(world, imports, made.id)).succeeded == 2


async def test_what_is_wrong_with_a_request_is_said_in_the_platforms_words(world, file):
    imports = await world.imports()
    with pytest.raises(Refused, match="mime_type Input should be"):
        await imports.create("relay-1", "APPLICATION_JSON")


async def test_a_list_instead_of_lines_is_refused_at_upload(world, tmp_path):
    path = tmp_path / "list.ndjson"
    path.write_text("[\n{}\n]\n")
    imports = await world.imports()
    made = await imports.create("relay-1", NDJSON)
    with pytest.raises(Refused, match="not NDJSON"):
        await imports.start(made.id, path, "application/x-ndjson")


async def test_an_error_inside_a_success_is_an_error(file):
    def answer(request):
        return httpx.Response(200, json={"status": "error", "error": 'no datamart "x"'})

    async with httpx.AsyncClient(
        transport=httpx.MockTransport(answer), base_url="https://api"
    ) as client:
        imports = DocumentImports(Caller("mediarithmics", client, random.Random(0)), "1")
        with pytest.raises(Refused, match=r"refused: no datamart \*\*\*"):
            await imports.find("x")


@pytest.mark.parametrize(
    "body", ["", "<html>", "[]", '{"status":"ok"}', '{"status":"ok","data":7}']
)
async def test_an_answer_that_is_not_the_documented_one_is_said(body, file):
    transport = httpx.MockTransport(lambda request: httpx.Response(200, text=body))
    async with httpx.AsyncClient(transport=transport, base_url="https://api") as client:
        imports = DocumentImports(Caller("mediarithmics", client, random.Random(0)), "1")
        with pytest.raises(AnswerUnusable, match="not as documented"):
            await imports.find("x")
        # What was asked for may have been done nevertheless.
        with pytest.raises(AnswerLost, match="not as documented"):
            await imports.start("x", file, "application/x-ndjson")


async def test_a_wrong_token_and_an_unknown_datamart_are_told_apart(world):
    with pytest.raises(LoginRefused):
        await (await world.imports(token="wrong")).find("x")
    with pytest.raises(NotThere):
        await (await world.imports(datamart="abc/def")).find("x")


async def test_a_file_that_is_gone_is_our_problem_and_not_the_platforms(world, tmp_path):
    imports = await world.imports()
    made = await imports.create("relay-1", NDJSON)
    with pytest.raises(LocalStateError):
        await imports.start(made.id, tmp_path / "gone", "application/x-ndjson")
    assert await imports.executions(made.id) == []


async def test_progress_of_an_upload_adds_up_to_its_size(world, tmp_path):
    path = tmp_path / "big.ndjson"
    path.write_text(lines(*(f"user-{number}" for number in range(10_000))))
    imports = await world.imports()
    made = await imports.create("relay-1", NDJSON)
    pieces = []
    await imports.start(made.id, path, "application/x-ndjson", pieces.append)
    assert sum(pieces) == path.stat().st_size
    assert len(pieces) > 1
