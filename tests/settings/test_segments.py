"""The section `segments`: what fits together, and the policies that are built from it."""

import pytest

from relay.errors import SettingsError
from relay.segments.members import ExpiryPolicy
from relay.segments.user_ids import IdType
from relay.settings import load

SYNC = """
segments:
  syncs:
    - {{name: churn, mparticle_segment_id: abc, segment_id: 7{more}}}
"""


def settings(tmp_path, text, environ=None):
    path = tmp_path / "relay.yaml"
    path.write_text(text)
    return load(path, environ or {}, needs=["segments"])


def test_a_sync_has_defaults_that_empty_a_forgotten_segment(tmp_path):
    found = settings(tmp_path, SYNC.format(more=""))
    policy = found.segments.sync_policy(None, found.identity)
    assert policy.expiry == ExpiryPolicy(10_080, 5_040)
    assert (policy.ids.id_type, policy.ids.column, policy.ids.header) == (IdType.MPID, 0, True)
    assert (policy.safety.removal_share_max, policy.safety.removals_free) == (0.3, 100)
    assert (policy.target.segment, policy.target.by) == ("7", "segment_id")


def test_a_compartment_is_taken_from_identity_for_accounts_only(tmp_path):
    text = "identity: {{default_compartment_id: 1000}}" + SYNC
    found = settings(tmp_path, text.format(more=", id_type: customer_id, id_column: cid"))
    target = found.segments.sync_policy("churn", found.identity).target
    assert (target.identifier, target.compartment_id) == ("user_account_id", "1000")
    found = settings(tmp_path, text.format(more=", id_type: email"))
    target = found.segments.sync_policy("churn", found.identity).target
    assert (target.identifier, target.compartment_id) == ("email_hash", None)


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (", segment_technical_name: vip", "give one of segment_id and segment_technical_name"),
        (", header: false, id_column: mpid", "id_column by name needs a header"),
        (", id_column: -1", "counted from 0"),
        (", expiration_minutes: 60, renew_before_minutes: 60", "must be below expiration_minutes"),
        (", data_bag: '{'", "must be JSON"),
        (", removal_share_max: 30", "less than or equal to 1"),
        ("}\n    - {name: churn, mparticle_segment_id: x, segment_id: 8", "the same name"),
        ("}\n    - {name: two, mparticle_segment_id: x, segment_id: 7", "fill the same segment"),
        ("}\n    - {name: Two Words, mparticle_segment_id: x, segment_id: 8", "pattern"),
    ],
)
def test_what_contradicts_is_refused(tmp_path, more, says):
    with pytest.raises(SettingsError, match=says):
        settings(tmp_path, SYNC.format(more=more))


def test_keys_of_s3_go_together(tmp_path):
    with pytest.raises(SettingsError, match="go together"):
        settings(tmp_path, "segments: {s3: {access_key_id: a}}")


def test_secrets_come_from_files_and_are_not_shown(tmp_path):
    (tmp_path / "token").write_text("s3cret\n")
    found = settings(
        tmp_path,
        "segments: {mparticle: {api_key: k}, s3: {access_key_id: a, secret_access_key: b}}",
        {"RELAY_SEGMENTS__MPARTICLE__ACCESS_TOKEN_FILE": str(tmp_path / "token")},
    )
    assert found.segments.mparticle_credentials() == ("k", "s3cret")
    assert "s3cret" not in repr(found)
    access = found.segments.file_access()
    assert access.s3.access_key_id == "a"
    assert "secret_access_key" not in repr(access)


def test_one_of_several_syncs_has_to_be_named(tmp_path):
    more = "}\n    - {name: vip, mparticle_segment_id: x, segment_id: 8"
    found = settings(tmp_path, SYNC.format(more=more))
    with pytest.raises(SettingsError, match=r"which sync.*known are: churn, vip"):
        found.segments.sync_policy(None, found.identity)
    assert found.segments.sync_policy("vip", found.identity).source_segment_id == "x"
