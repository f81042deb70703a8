"""Topics that are gone while they are read, and a pattern that matches nothing. Pure.

When a topic is deleted, Kafka's client forgets it and the group hands its partitions back. What was
in memory cannot be committed and is dropped. Without this nobody would hear of it.

| topics are | one is gone | it is back |
|---|---|---|
| named | error with the number dropped; trouble until it is back | told |
| of a pattern | error with the number dropped | told by its assignment |
"""

from collections.abc import Collection, Mapping

from relay.road.consuming.facts import PatternMatchesNothing, TopicBack, TopicGone
from relay.road.consuming.source import SourceTrouble
from relay.road.consuming.troubles import Troubles
from relay.telemetry.facts import Emit

SURE_AFTER_S = 2.0
"""For how long the metadata must be without a topic: it may be incomplete for a moment."""
SAY_AGAIN_S = 300.0


class TopicWatch:
    """Told by the source what the metadata holds. Times are steady seconds."""

    def __init__(
        self, topics: Collection[str], pattern: str | None, troubles: Troubles, emit: Emit
    ) -> None:
        self._named = frozenset(topics)
        self._pattern = pattern
        self._troubles = troubles
        self._emit = emit
        self._seen: set[str] = set()
        self._missing: dict[str, float] = {}
        self._told: set[str] = set()
        self._dropped: dict[str, int] = {}
        self._nothing_since: float | None = None
        self._nothing_told: float | None = None

    def revoked(self, uncommitted: Mapping[str, int]) -> None:
        """These topics' partitions were handed back, with so many records without a commit."""
        self._dropped |= uncommitted

    def look(self, known: Collection[str], now: float) -> None:
        """Which of the topics to read the metadata holds now."""
        # Told is a topic that was there and is missing for `SURE_AFTER_S`: the metadata of one
        # answer may be incomplete. A named one stays told until it is back; one of a pattern is
        # forgotten.
        for topic in self._seen.difference(known):
            since = self._missing.setdefault(topic, now)
            if now - since >= SURE_AFTER_S and topic not in self._told:
                self._gone(topic)
        for topic in self._missing.keys() & set(known):
            since = self._missing.pop(topic)
            if topic in self._told:
                self._told.discard(topic)
                self._emit(TopicBack(topic=topic, after_s=now - since))
        self._seen.update(known)
        self._show(now)
        if self._pattern is not None:
            self._look_for_matches(self._pattern, known, now)

    def _gone(self, topic: str) -> None:
        self._emit(TopicGone(topic=topic, records=self._dropped.pop(topic, 0)))
        if topic in self._named:
            self._told.add(topic)
        else:
            self._seen.discard(topic)
            del self._missing[topic]

    def _show(self, now: float) -> None:
        if self._told:
            names = ", ".join(sorted(self._told))
            self._troubles.raised(SourceTrouble.TOPIC_MISSING, f"{names} is gone", now)
        else:
            self._troubles.cleared(SourceTrouble.TOPIC_MISSING)

    def _look_for_matches(self, pattern: str, known: Collection[str], now: float) -> None:
        if known:
            self._nothing_since = self._nothing_told = None
            return
        if self._nothing_since is None:
            self._nothing_since = now
        sure = now - self._nothing_since >= SURE_AFTER_S
        if sure and (self._nothing_told is None or now - self._nothing_told >= SAY_AGAIN_S):
            self._nothing_told = now
            self._emit(PatternMatchesNothing(pattern=pattern, again_in_s=SAY_AGAIN_S))
