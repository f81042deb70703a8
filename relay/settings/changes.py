"""Two readings of the settings → what of the second needs a restart before it can hold. Pure.

Only `destinations` may grow while Relay runs, and `routing` may change with it: a sender that is
added touches nothing that is on its way to the others.
"""

from collections.abc import Iterator

from pydantic import BaseModel

from relay.settings import Settings

_MAY_CHANGE = ("destinations", "routing")


def needing_restart(old: Settings, new: Settings) -> list[str]:
    """The names of the settings that differ, without those that may change. Never a value."""
    found: list[str] = []
    for name in Settings.model_fields:
        if name not in _MAY_CHANGE:
            found += _differing(getattr(old, name, None), getattr(new, name, None), name)
    # A destination that was there must stay as it is: its sender, its wire and its connections were
    # made of it. One that is gone differs too, and needs a restart.
    there = {one.name: one for one in new.destinations}
    for one in old.destinations:
        found += _differing(one, there.get(one.name), one.section)
    if new.shares_rate and not old.shares_rate:  # the consumer learns its share from the start on
        found.append("limits.rate_shared of a new destination, the first that has it")
    return found


def _differing(old: object, new: object, name: str) -> Iterator[str]:
    if old == new:
        return
    if isinstance(old, BaseModel) and type(old) is type(new):
        for inner in type(old).model_fields:
            yield from _differing(getattr(old, inner), getattr(new, inner), f"{name}.{inner}")
    else:
        yield name
