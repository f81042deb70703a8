"""User profiles: what is stored and what is given in, the profile after the update out. Pure.

Documented: the names of the strategies, and the two legacy parameters with their meaning. How
`PARTIAL_UPDATE` and `PARTIAL_DELETE` treat arrays is not readable in the vendor's pages; what is
done here is *inferred* from their purpose, to change elements of arrays of objects in place.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

SYSTEM_FIELDS = frozenset({"$creation_ts", "$last_modified_ts"})
KEY_FIELDS = frozenset({"$compartment_id", "$user_account_id"})
# Inferred: elements of arrays are the same when they agree in one of these.
ELEMENT_KEYS = ("id", "$id")


class Strategy(StrEnum):
    """How what is given meets what is stored."""

    SHALLOW = "shallow"
    """Legacy `force_replace=false`: given properties override stored ones."""

    DEEP = "deep"
    """Legacy `merge_objects=true`: like shallow, but objects on both sides merge."""

    PARTIAL_UPDATE = "PARTIAL_UPDATE"
    PARTIAL_DELETE = "PARTIAL_DELETE"
    FORCE_REPLACE = "FORCE_REPLACE"


class ProfileKey(NamedTuple):
    """A profile's identity within its user point; without account it is the anonymous one."""

    compartment: str
    account: str | None


@dataclass(slots=True)
class Profile:
    """A stored profile. `revision` grows with every change in the datamart."""

    key: ProfileKey
    created_ms: int
    modified_ms: int
    revision: int
    properties: dict[str, Any] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """The profile as the API shows it."""
        document: dict[str, Any] = {"$compartment_id": self.key.compartment}
        if self.key.account is not None:
            document["$user_account_id"] = self.key.account
        document["$creation_ts"] = self.created_ms
        document["$last_modified_ts"] = self.modified_ms
        return document | self.properties


def properties_of(document: Mapping[str, Any]) -> dict[str, Any]:
    """What a profile keeps of a body: not its key, and not what the system sets itself."""
    reserved = SYSTEM_FIELDS | KEY_FIELDS
    return {name: value for name, value in document.items() if name not in reserved}


def updated(
    stored: Mapping[str, Any], given: Mapping[str, Any], strategy: Strategy
) -> dict[str, Any]:
    """The properties after the update. Neither argument changes."""
    # What becomes of a stored property, by the strategy:
    #
    #     |                | not given | given, and both are | both are arrays   | any other       |
    #     |                |           | objects             |                   |                 |
    #     |----------------|-----------|---------------------|-------------------|-----------------|
    #     | FORCE_REPLACE  | goes      | the given one       | the given one     | the given one   |
    #     | SHALLOW        | stays     | the given one       | the given one     | the given one   |
    #     | DEEP           | stays     | merged              | the given one     | the given one   |
    #     | PARTIAL_UPDATE | stays     | merged              | merged by id      | the given one   |
    #     | PARTIAL_DELETE | stays     | what is named in it | what fits one of  | goes            |
    #     |                |           | goes                | those given goes  |                 |
    match strategy:
        case Strategy.FORCE_REPLACE:
            return dict(given)
        case Strategy.SHALLOW:
            return {**stored, **given}
        case Strategy.DEEP:
            return _merged(stored, given, arrays=False)
        case Strategy.PARTIAL_UPDATE:
            return _merged(stored, given, arrays=True)
        case Strategy.PARTIAL_DELETE:
            return _reduced(stored, given)


def _merged(stored: Mapping[str, Any], given: Mapping[str, Any], *, arrays: bool) -> dict[str, Any]:
    result = dict(stored)
    for name, value in given.items():
        before = result.get(name)
        if isinstance(before, dict) and isinstance(value, dict):
            result[name] = _merged(before, value, arrays=arrays)
        elif arrays and isinstance(before, list) and isinstance(value, list):
            result[name] = _merged_array(before, value)
        else:
            result[name] = value
    return result


def _merged_array(stored: list[Any], given: list[Any]) -> list[Any]:
    """Inferred: elements with the same id merge, others are added unless they are there."""
    result = list(stored)
    for element in given:
        place = next((i for i, before in enumerate(result) if _same(before, element)), None)
        if place is None:
            result.append(element)
        elif isinstance(element, dict):
            result[place] = _merged(result[place], element, arrays=True)
    return result


def _same(one: Any, other: Any) -> bool:
    if not isinstance(one, dict) or not isinstance(other, dict):
        return bool(one == other)
    for name in ELEMENT_KEYS:
        if name in one and name in other:
            return bool(one[name] == other[name])
    return one == other


def _reduced(stored: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Inferred: a named property goes; within objects and arrays only what is named goes."""
    result = dict(stored)
    for name, value in given.items():
        before = result.get(name)
        if isinstance(before, dict) and isinstance(value, dict) and value:
            result[name] = _reduced(before, value)
        elif isinstance(before, list) and isinstance(value, list) and value:
            result[name] = [e for e in before if not any(_matches(e, wanted) for wanted in value)]
        else:
            result.pop(name, None)
    return result


def _matches(element: Any, wanted: Any) -> bool:
    """Whether the element has everything that `wanted` has."""
    if isinstance(element, dict) and isinstance(wanted, dict):
        return all(name in element and element[name] == value for name, value in wanted.items())
    return bool(element == wanted)
