"""A seed → app events of all kinds for a few hundred imaginary people, and one poison record."""

import random
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

import orjson

_PAGES = ("home", "shoes", "jackets", "sale", "stores")
_PRODUCTS = (("sku-101", 49.9), ("sku-205", 120.0), ("sku-309", 15.5), ("sku-412", 79.0))
_POISON = b'{"type": "track", "id": "half of an event'


class Sample(NamedTuple):
    """A record to be produced."""

    key: bytes
    value: bytes


def samples(count: int, users: int, now_ms: int, rng: random.Random) -> Iterator[Sample]:
    """`count` records in the order in which they happened, one of them no event at all.

    Some people do much more than others, as in life. Each event carries `seq`, which grows with
    each event of one person: the sandbox judges the order by it.
    """
    weights = [1 / (rank + 1) ** 0.8 for rank in range(users)]
    seqs: Counter[int] = Counter()
    poison_at = count // 3
    for number, user in enumerate(rng.choices(range(users), weights, k=count)):
        key = f"person-{user}".encode()
        if number == poison_at:
            yield Sample(key, _POISON)
            continue
        seqs[user] += 1
        event = _event(seqs[user], rng)
        event["id"] = f"demo-{number}"
        event["ts"] = now_ms + number
        event["user"] = _user(user)
        yield Sample(key, orjson.dumps(event))


def _user(user: int) -> dict[str, Any]:
    known: dict[str, Any] = {"accounts": [{"id": f"crm-{user:04}"}]}
    if user % 3 == 0:
        known["emails"] = [{"address": f"person{user}@example.com"}]
    return known


def _event(seq: int, rng: random.Random) -> dict[str, Any]:
    draw = rng.random()
    if draw < 0.06:  # noqa: PLR2004 - shares of the kinds, here only
        return {
            "type": "profile",
            "properties": {"city": rng.choice(("Lyon", "Paris", "Lille")), "seq": seq},
        }
    if draw < 0.12:  # noqa: PLR2004
        return {
            "type": "choice",
            "processing_id": "17",
            "accepted": rng.random() < 0.7,  # noqa: PLR2004
            "properties": {"seq": seq},
        }
    if draw < 0.14:  # noqa: PLR2004
        return {"type": "segment", "action": "add", "segment_ids": ["88"]}
    if draw < 0.6:  # noqa: PLR2004
        return _track("page_seen", {"page": rng.choice(_PAGES), "seq": seq})
    product, price = rng.choice(_PRODUCTS)
    items = [{"$id": product, "$price": price, "$qty": 1}]
    name = "$item_view" if draw < 0.9 else "$transaction_confirmed"  # noqa: PLR2004
    return _track(name, {"$items": items, "seq": seq})


def _track(name: str, properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "track",
        "event": name,
        "app_id": "1023",
        "session_status": "IN_SESSION",
        "properties": properties,
    }
