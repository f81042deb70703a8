"""Every field of a segment command, over real HTTP: what is written is what the sandbox reads.

The sandbox has its own reading of the vendor's table (`relay.sandbox.segment_lines`), so the two
can only agree where both are right.
"""

import json

import pytest

from relay.sandbox.document_imports import document_imports
from relay.segments.formats import FileFormat, encoder
from relay.segments.model import SegmentCommand

MINUTE_MS = 60_000
USERS = {
    "account": {"user_account_id": "crm-881"},
    "account of a compartment": {"compartment_id": "1700", "user_account_id": "crm-881"},
    "email": {"email_hash": "8c87b489ce35cf2e2f39f80e282cb2e804932a56a213983eeeb428407d43b52d"},
    "device": {"user_agent_id": "vec:289388396"},
}
KEYS = {
    "account": ("user_account_id", "0", "crm-881"),
    "account of a compartment": ("user_account_id", "1700", "crm-881"),
    "email": ("email_hash", "", USERS["email"]["email_hash"]),
    "device": ("user_agent_id", "", "vec:289388396"),
}
SEGMENTS = {
    "segment_id": ("9007199254740993", [("id", "9007199254740993")]),
    "segment_ids": (["7", "8"], [("id", "7"), ("id", "8")]),
    "segment_technical_name": ("vip, gold", [("technical_name", "vip, gold")]),
    "segment_technical_names": (["a", 'b "c"'], [("technical_name", "a"),
                                                 ("technical_name", 'b "c"')]),
}  # fmt: skip


async def imported(world, directory, form, *documents):
    """Write commands to a file, import it; the stand-in's store when that is done."""
    codec = encoder(form)
    commands = [SegmentCommand.model_validate_json(json.dumps(each)) for each in documents]
    path = directory / f"commands.{form.value}"
    path.write_bytes(codec.header + b"".join(codec.line(command) for command in commands))
    imports = await world.imports()
    made = await imports.create("relay-1", form.mime_type)
    await imports.start(made.id, path, form.content_type)
    await world.clock.sleep(1)
    [done] = await imports.executions(made.id)
    assert (done.succeeded, done.failed) == (len(documents), 0)
    return document_imports(world.state)


def update(user="account", **fields):
    return {"operation": "UPDATE", "expiration_duration": 0, **USERS[user], **fields}


@pytest.mark.parametrize("form", list(FileFormat))
@pytest.mark.parametrize("user", USERS)
async def test_every_way_to_name_a_user_names_the_same_user_there(world, tmp_path, form, user):
    store = await imported(world, tmp_path, form, update(user, segment_id="7"))
    [key] = store.members["id", "7"]
    default = world.state.options.default_compartment_id
    assert key == (KEYS[user][0], default if user == "account" else KEYS[user][1], KEYS[user][2])


@pytest.mark.parametrize("form", list(FileFormat))
@pytest.mark.parametrize("field", SEGMENTS)
async def test_every_way_to_name_segments_reaches_all_of_them(world, tmp_path, form, field):
    value, expected = SEGMENTS[field]
    store = await imported(world, tmp_path, form, update(**{field: value}))
    assert sorted(store.members) == sorted(expected)


@pytest.mark.parametrize("form", list(FileFormat))
async def test_one_file_may_put_some_in_and_take_others_out(world, tmp_path, form):
    await imported(world, tmp_path, form, update(segment_id="7"))
    store = await imported(
        world, tmp_path, form,
        update(segment_id="7") | {"operation": "DELETE"}, update("email", segment_id="7"),
    )  # fmt: skip
    assert [kind for kind, _, _ in store.members["id", "7"]] == ["email_hash"]


@pytest.mark.parametrize("form", list(FileFormat))
@pytest.mark.parametrize(
    ("fields", "ends_after_ms"),
    [
        ({"expiration_duration": 60}, 60 * MINUTE_MS),
        ({"expiration_duration": 0}, None),
        ({"expiration_duration": 60, "expiration_ts": 0}, None),
        ({"expiration_duration": 60, "expiration_ts": 1_999_999_999_999}, "ts"),
    ],
)
async def test_a_membership_ends_when_the_command_says(
    world, tmp_path, form, fields, ends_after_ms
):
    store = await imported(world, tmp_path, form, update(segment_id="7", **fields))
    [ends] = store.members["id", "7"].values()
    if ends_after_ms == "ts":
        assert ends == fields["expiration_ts"]
    else:
        assert ends == (ends_after_ms and world.clock.ms + ends_after_ms)


@pytest.mark.parametrize("form", list(FileFormat))
async def test_a_data_bag_arrives_as_the_json_text_that_it_is(world, tmp_path, form):
    bag = json.dumps({"from": 'mParticle, "daily"', "score": 0.5})
    store = await imported(world, tmp_path, form, update(segment_id="7", data_bag=bag))
    assert list(store.data_bags.values()) == [bag]
