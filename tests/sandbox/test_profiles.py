"""Each update strategy, on what is stored and what is given."""

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.sandbox.profiles import Strategy, properties_of, updated

STORED = {"a": {"x": 1, "deep": {"y": 1}}, "k": 1, "tags": ["p", "q"], "cars": [{"id": 1, "c": 2}]}


@pytest.mark.parametrize(
    ("strategy", "given_", "after"),
    [
        ("FORCE_REPLACE", {"a": {"y": 2}}, {"a": {"y": 2}}),
        ("FORCE_REPLACE", {}, {}),
        ("shallow", {"a": {"y": 2}}, STORED | {"a": {"y": 2}}),
        ("shallow", {"k": None}, STORED | {"k": None}),
        ("deep", {"a": {"y": 2}}, STORED | {"a": {"x": 1, "deep": {"y": 1}, "y": 2}}),
        ("deep", {"a": {"deep": {"z": 3}}}, STORED | {"a": {"x": 1, "deep": {"y": 1, "z": 3}}}),
        ("deep", {"a": 5}, STORED | {"a": 5}),
        ("deep", {"tags": ["r"]}, STORED | {"tags": ["r"]}),
        ("PARTIAL_UPDATE", {"new": 1}, STORED | {"new": 1}),
        (
            "PARTIAL_UPDATE",
            {"a": {"deep": {"z": 3}}},
            STORED | {"a": {"x": 1, "deep": {"y": 1, "z": 3}}},
        ),
        ("PARTIAL_UPDATE", {"tags": ["q", "r"]}, STORED | {"tags": ["p", "q", "r"]}),
        (
            "PARTIAL_UPDATE",
            {"cars": [{"id": 1, "d": 3}]},
            STORED | {"cars": [{"id": 1, "c": 2, "d": 3}]},
        ),
        (
            "PARTIAL_UPDATE",
            {"cars": [{"id": 2}, {"no": 1}]},
            STORED | {"cars": [{"id": 1, "c": 2}, {"id": 2}, {"no": 1}]},
        ),
        ("PARTIAL_DELETE", {"k": 1, "absent": 1}, {n: v for n, v in STORED.items() if n != "k"}),
        ("PARTIAL_DELETE", {"a": {"x": None}}, STORED | {"a": {"deep": {"y": 1}}}),
        ("PARTIAL_DELETE", {"a": {}}, {n: v for n, v in STORED.items() if n != "a"}),
        ("PARTIAL_DELETE", {"tags": ["p"]}, STORED | {"tags": ["q"]}),
        ("PARTIAL_DELETE", {"cars": [{"id": 1}]}, STORED | {"cars": []}),
        ("PARTIAL_DELETE", {"cars": [{"id": 2}]}, STORED),
    ],
)
def test_a_strategy_decides_what_is_left(strategy, given_, after):
    before = copy.deepcopy(STORED)
    assert updated(STORED, given_, Strategy(strategy)) == after
    assert before == STORED


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(0, 3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abid"), inner),
    max_leaves=6,
)
PROFILES = st.dictionaries(st.sampled_from(["a", "b", "id"]), VALUES)


@given(PROFILES, PROFILES, st.sampled_from(list(Strategy)))
def test_the_same_update_twice_changes_nothing_more(stored, change, strategy):
    once = updated(stored, change, strategy)
    assert updated(once, change, strategy) == once


@given(PROFILES, PROFILES)
def test_a_deep_update_never_loses_a_property(stored, change):
    assert set(updated(stored, change, Strategy.DEEP)) == set(stored) | set(change)


def test_a_profile_does_not_keep_its_key_nor_what_the_system_sets():
    document = {
        "$compartment_id": "1",
        "$user_account_id": "a",
        "$creation_ts": 1,
        "$last_modified_ts": 2,
        "$expiration_ts": 3,
        "city": "Lyon",
    }
    assert properties_of(document) == {"$expiration_ts": 3, "city": "Lyon"}
