"""What was produced, stored and dead-lettered → figures: what was lost, broken, repeated, late.

Reads what the world can see: the producer's list, the API's own log, the dead-letter topic. Only
the figures about memory and balance look inside the engine.
"""

import statistics
from collections import Counter, defaultdict
from typing import Any


def figures(world) -> dict[str, Any]:
    """Everything that an expectation may name."""
    stored = Counter((s.user, s.seq) for s in world.api.stored)
    dead = {(letter.record.partition, letter.record.offset) for letter in world.letters.written}
    fine = [p for p in world.produced if p.fine]
    keys = defaultdict(set)
    for entry in world.api.stored:
        keys[entry.user, entry.seq].add(entry.unique_key)
    duplicates = sum(count - 1 for count in stored.values())
    allowed = (
        world.at_risk + sum(engine.at_risk for engine in world.engines) + world.api.lost_answers
    )
    return {
        "settled": world.settled_at is not None,
        "settled_at": world.settled_at,
        "lost": sum(
            1
            for p in world.produced
            if p.position not in dead and not (p.fine and stored[p.user, p.seq])
        ),
        "order_breaks": sum(
            order_breaks(
                api.stored, {(p.user, p.seq) for p in world.produced if p.position in dead}
            )
            for api in world.apis.values()
        ),
        "strayed": _strayed(world),
        "duplicates": duplicates,
        "duplicates_allowed": allowed,
        "duplicates_beyond": max(0, duplicates - allowed),
        "keys_differ": sum(1 for found in keys.values() if len(found) > 1),
        "dead": len(dead),
        "dead_by_class": dict(Counter(str(letter.cls) for letter in world.letters.written)),
        "fine_but_dead": sum(1 for p in fine if p.position in dead),
        "unbalanced": world.unbalanced
        + sum(not engine.custody.ledger.balanced for engine in world.engines),
        # What was still in flight when a process ended has no answer and no fate in its books.
        "leftovers": sum(
            engine.custody.ledger.open
            - sum(1 for sender in engine.senders.values() for _ in sender.lanes.flying())
            for engine in world.engines
            if not engine.custody.assigned
        ),
        "requests": world.api.requests,
        "throttled": world.api.throttled,
        "crashes": world.crashes,
        "letters_refused": world.letters.refused,
        "in_flight_most": world.api.in_flight_max,
        "requests_in_outage": world.api.requests_in_outage,
        "still_held_lines": world.fact_counts["StillHeld"],
        "delivered_after_own_dead": _delivered_after_own_dead(world, dead),
        "facts": dict(world.fact_counts),
        **_troubles(world),
        **_memory(world),
        **_delays(world),
    }


def _delivered_after_own_dead(world, dead):
    """How many events were delivered although an earlier one of their user is a dead letter."""
    first_dead: dict[str, int] = {}
    for p in world.produced:
        if p.position in dead and p.seq >= 0:
            first_dead.setdefault(p.user, p.seq)
    return sum(1 for s in world.api.stored if s.seq > first_dead.get(s.user, s.seq))


def _strayed(world) -> int:
    """How many events a destination stored that were bound for another."""
    if len(world.names) == 1:
        return 0
    return sum(
        world.bound_for(entry.seq) != name
        for name, api in world.apis.items()
        for entry in api.stored
    )


def order_breaks(stored, dead=frozenset()) -> int:
    """How often an event was first stored after a later one of its user.

    An event that was dead-lettered as well is left out: killed before its offset was committed, it
    is tried again, and may be delivered then.
    """
    highest: dict[str, int] = {}
    seen: set[tuple[str, int]] = set()
    breaks = 0
    for entry in stored:
        if (entry.user, entry.seq) in seen or (entry.user, entry.seq) in dead:
            continue
        seen.add((entry.user, entry.seq))
        if entry.seq < highest.get(entry.user, -1):
            breaks += 1
        highest[entry.user] = max(highest.get(entry.user, -1), entry.seq)
    return breaks


def _troubles(world):
    """How the destination was treated while it was away, and how fast all was well again."""
    faults = world.storm.faults
    windows = [
        *faults.outages,
        *faults.failing_all,
        *faults.misconfigured,
        *world.storm.letters_refused,
    ]
    if not windows:
        return {}
    ended = max(stop for _, stop in windows)
    began = min(start for start, _ in windows)
    after = sorted(s.at - 1000.0 for s in world.api.stored if s.at - 1000.0 >= ended)
    waited = {(p.user, p.seq) for p in world.produced if p.at - 1000.0 < ended}
    late = [s.at - 1000.0 for s in world.api.stored if (s.user, s.seq) in waited]
    calm = [n for second, n in world.api.requests_by_second.items() if began + 20 < second < ended]
    return {
        "back_after_s": after[0] - ended if after else None,
        "backlog_gone_after_s": max(0.0, max(late, default=0.0) - ended),
        "requests_a_second_in_outage_most": max(calm, default=0),
        "wakeups_a_second": world.wakeups / max(1.0, world.settled_at or 1.0),
    }


def _memory(world):
    storm = world.storm
    poll = storm.poll_records_max
    largest = max((e.largest_bytes for e in world.engines), default=0)
    return {
        "open_most": max(engine.open_most for engine in world.engines),
        "open_bytes_most": max(engine.open_bytes_most for engine in world.engines),
        "over_records": max(e.open_most for e in world.engines) - storm.records_max - poll,
        "over_bytes": max(e.open_bytes_most for e in world.engines)
        - storm.bytes_max
        - poll * largest,
        "longest_silence_s": max(source.longest_silence_s for source in world.sources),
    }


def _delays(world):
    """From the broker to the API's log, in seconds of virtual time."""
    first: dict[tuple[str, int], float] = {}
    for entry in world.api.stored:
        first.setdefault((entry.user, entry.seq), entry.at)
    delays = defaultdict(list)
    for p in world.produced:
        if p.fine and (p.user, p.seq) in first:
            delays[p.user == "hot"].append(first[p.user, p.seq] - p.at)
    return {
        "others_delay_p50_s": statistics.median(delays[False]) if delays[False] else None,
        "hot_delay_p50_s": statistics.median(delays[True]) if delays[True] else None,
    }
