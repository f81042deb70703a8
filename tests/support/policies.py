"""Policies beyond the bounds of the settings, and with other constants than ours."""

from typing import Any, TypeVar

from relay.section import Section

Policy = TypeVar("Policy", bound=Section)


def changed(policy: Policy, **values: Any) -> Policy:
    """A policy like this one but for these fields."""
    given = {name: getattr(policy, name) for name in type(policy).model_fields}
    return type(policy)(**{**given, **values})


def tuned(kind: type[Policy], **values: Any) -> Policy:
    """A policy of this kind; `values` may name its fields and its constants."""
    known = {*kind.model_fields, *kind.__class_vars__}
    assert known >= values.keys(), f"{kind.__name__} has no {values.keys() - known}"
    constants = {name: values[name] for name in values.keys() & kind.__class_vars__}
    own = type(kind.__name__, (kind,), {**constants, "__module__": kind.__module__})
    return own.model_construct(**{name: values[name] for name in values.keys() - constants.keys()})
