"""/status → what is wrong now, the worst first, each with its entry in the runbook. Pure.

What the page, `relay top` and a reader of /status look at before anything else. The thresholds are
those of the alerts (deploy/alerts.yaml), without their waiting times.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from relay.wording import counted

Trouble = dict[str, Any]
Status = Mapping[str, Any]

_PINNED_S = 300.0
_MAP_FILL = 0.8
_LATE_S = 300.0
_NAMED_MAX = 3


def troubles(status: Status, not_ready: str = "") -> list[Trouble]:
    """Of all roads. Each has `level` (error, warning), `what`, `reason`, `for_s`, `runbook`.

    `not_ready` is the reason of /readyz: told as it is where nothing else explains it.
    """
    found = list(_of_a_road(status, segments=False))
    segments = status.get("segments")
    if segments:
        found += _of_a_road(segments, segments=True)
    explained = any(one["level"] == "error" for one in found)
    if not_ready and not explained and status.get("lifecycle") == "running":
        found.append(_trouble("error", "Relay is not ready", not_ready))
    return sorted(found, key=lambda one: one["level"] != "error")


def _of_a_road(road: Status, *, segments: bool) -> Iterator[Trouble]:
    where = "Segment events: " if segments else ""
    if road.get("failed"):
        yield _trouble("error", f"{where}the road failed and starts again", road["failed"])
    if not road["ledger"]["balanced"]:
        text = "records taken and records accounted for differ: a defect"
        yield _trouble("error", f"{where}the ledger is not balanced", text, "relayledgerunbalanced")
    yield from _of_kafka(road["kafka"], where)
    yield from _of_writing(road, where)
    yield from _of_schemas(road["schema_registry"], where)
    if segments and road.get("held"):
        held, for_s = road["held"], road["held_for_s"]
        yield _trouble("error", "Segment events are held", held, "relaysegmentsheld", for_s)
    for destination in destinations(road):
        yield from _of_a_destination(destination)
    yield from _of_partitions(road["partitions"], where)


def destinations(road: Status) -> list[Status]:
    """What the road sends to, each with its state; none for segment events."""
    if "destinations" in road:
        return [{"name": name, **one} for name, one in road["destinations"].items()]
    return [{"name": "tracking API", **road["destination"]}] if "destination" in road else []


def _of_kafka(kafka: Status, where: str) -> Iterator[Trouble]:
    if kafka["trouble"]:
        what = f"{where}Kafka: {kafka['trouble'].replace('_', ' ')}"
        yield _trouble("error", what, kafka["reason"], "relaykafkatrouble", kafka["for_s"])
    held = kafka["held_back"]
    if held:
        records = sum(one["records"] for one in held.values())
        what = f"{where}an open transaction holds {records:,} records back"
        for_s = max(one["for_s"] for one in held.values())
        yield _trouble("warning", what, _named(held), "relaytransactionhangs", for_s)


def _of_writing(road: Status, where: str) -> Iterator[Trouble]:
    letters, commits = road["dead_letter_topic"], road["commits"]
    if letters["blocked"]:
        what = f"{where}dead letters cannot be written"
        runbook = "relaydeadlettertopicunavailable"
        yield _trouble("error", what, letters["blocked"], runbook, letters["for_s"])
    if commits["blocked"]:
        what = f"{where}Kafka takes no commits: a restart would send again what was sent since"
        yield _trouble("warning", what, commits["blocked"], "relaycommitsfail", commits["for_s"])


def _of_schemas(registry: Status, where: str) -> Iterator[Trouble]:
    waiting = registry["waiting"]
    if not waiting:
        return
    for_s = max(one["for_s"] for one in waiting.values())
    wait = counted(len(waiting), "partition waits", "partitions wait")
    if registry["problem"]:
        what = f"{where}{wait} for a schema"
        yield _trouble("error", what, registry["problem"], "relayschemamissing", for_s)
    else:
        what = f"{where}{wait} for a schema that the registry does not know"
        yield _trouble("warning", what, _named(waiting), "relayschemamissing", for_s)


def _of_a_destination(one: Status) -> Iterator[Trouble]:
    name, for_s = one["name"], one["for_s"]
    match one["state"]:
        case "held":
            yield _trouble("error", f"{name} is held", one["reason"], "relayheld", for_s)
        case "down":
            what = f"{name} is down"
            yield _trouble("error", what, one["reason"], "relaydestinationdown", for_s)
        case "paused":
            what = f"{name} asked for a pause"
            yield _trouble("warning", what, one["reason"], "relaylaggrows", for_s)
        case _:  # flowing
            pass
    late_s = (one.get("lateness_s") or {}).get("p99")
    if late_s is not None and late_s > _LATE_S:
        what = f"{name}: one delivery in a hundred came more than {late_s / 60:.0f} minutes late"
        yield _trouble("warning", what, "from production to delivery", "relaylate")


def _of_partitions(partitions: Status, where: str) -> Iterator[Trouble]:
    pins = {name: one["pinned_by"] for name, one in partitions.items() if one["pinned_by"]}
    pinned = {
        name: pin["for_s"]
        for name, pin in pins.items()
        if pin["for_s"] >= _PINNED_S and "schema" not in pin  # told by `_of_schemas`
    }
    if pinned:
        stuck = counted(len(pinned), "partition")
        what = f"{where}one record has kept the commit of {stuck} from moving"
        yield _trouble("warning", what, _named(pinned), "relaypartitionstuck", max(pinned.values()))
    full = {name: one for name, one in partitions.items() if one["map_fill"] >= _MAP_FILL}
    if full:
        what = f"{where}the commit's metadata is nearly full in {counted(len(full), 'partition')}"
        yield _trouble("warning", what, _named(full), "relayoffsetmapfull")


def _named(partitions: Status) -> str:
    names = sorted(partitions)
    more = len(names) - _NAMED_MAX
    return ", ".join(names[:_NAMED_MAX]) + (f" and {more} more" if more > 0 else "")


def _trouble(
    level: str, what: str, reason: str | None, runbook: str = "", for_s: float | None = None
) -> Trouble:
    return {
        "level": level,
        "what": what,
        "reason": reason or "",
        "for_s": for_s,
        "runbook": runbook or None,
    }
