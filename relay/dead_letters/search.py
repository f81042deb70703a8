"""The letters that are meant, found in their topics: to look at, to count, to send again.

What the commands of `relay dlq` and the page of a running relay have in common.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from relay.dead_letters.events import LetterReader
from relay.dead_letters.reading import dead_letter_topics, stored_in
from relay.dead_letters.replay import replay
from relay.dead_letters.selection import Selection
from relay.dead_letters.stored import OwnLetter, letter
from relay.kafka_client.producer import Producer
from relay.settings import Settings
from relay.wording import counted

_BREATH = 100
"""After so many records others of this event loop have a turn."""


@dataclass(slots=True)
class Found:
    """What was come across: letters that were meant, and records that relay did not write."""

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Of each class and code."""
    foreign: int = 0
    cut: int = 0
    """Letters left alone because only a part of their record is there."""
    more: bool = False
    """Whether there are others beyond the limit."""

    def table(self) -> str:
        """How many there are of each class and code, for people."""
        rows = [f"{count:8}  {cls:12} {code}" for (cls, code), count in self.counts.most_common()]
        return "\n".join([*rows, self.summary()])

    def summary(self) -> str:
        """The same in one line."""
        others = f"; {counted(self.foreign, 'record')} of others left alone" if self.foreign else ""
        cut = f"; {self.cut} truncated ones cannot be sent again" if self.cut else ""
        more = "; there are more: raise --limit" if self.more else ""
        return f"{counted(self.counts.total(), 'dead letter')}{more}{others}{cut}"


async def look(
    settings: Settings,
    topics: Sequence[str],
    selection: Selection,
    limit: int | None,
    each: Callable[[OwnLetter], None],
) -> Found:
    """Go through the letters that are meant, in the order in which they lie."""
    found = Found()
    async with aclosing(chosen_letters(settings, topics, selection, limit, found)) as letters:
        async for one in letters:
            each(one)
    return found


async def send_again(
    settings: Settings,
    topics: Sequence[str],
    selection: Selection,
    limit: int | None,
    *,
    to: str | None,
    per_second: float | None,
    dry_run: bool,
) -> tuple[Found, dict[str, int]]:
    """Replay the letters that are meant, or only count; how many went to which topic."""
    found = Found()
    async with aclosing(
        chosen_letters(settings, topics, selection, limit, found, whole=True)
    ) as letters:
        if dry_run:
            targets: Counter[str] = Counter()
            async for one in letters:
                targets[to or one.last.position.topic] += 1
            return found, dict(targets)
        async with Producer(settings.kafka.client()) as producer:
            went = await replay(letters, producer, to=to, per_second=per_second)
        return found, dict(went)


async def chosen_letters(
    settings: Settings,
    topics: Sequence[str],
    selection: Selection,
    limit: int | None,
    found: Found,
    *,
    whole: bool = False,
) -> AsyncGenerator[OwnLetter]:
    """The letters that are meant, counted in `found` as they come; `whole`: not truncated ones."""
    if selection.users:
        selection = replace(selection, events_of=LetterReader(settings).events)
    policy = settings.dead_letter.policy(settings.kafka)
    consumer = settings.kafka.consumer(settings.dead_letter.topic)
    where = await dead_letter_topics(topics, consumer, policy)
    # Closed here and now, not by the garbage collector: it holds connections.
    seen = 0
    async with aclosing(stored_in(policy.client, where, selection.since_ms)) as everything:
        async for stored in everything:
            seen += 1
            if not seen % _BREATH:
                await asyncio.sleep(0)
            # Each record that lies there is one of these, in this order:
            #
            #     not written by Relay    counted as foreign, and left alone
            #     not meant               passed over
            #     cut, where a whole one  counted: half an event must not be sent again
            #     is needed
            #     beyond the limit        the search ends, and says that there are more
            #     else                    counted by class and code, and handed over
            one = letter(stored)
            if one is None:
                found.foreign += 1
            elif not selection.takes(one):
                continue
            elif whole and one.cut is not None:
                found.cut += 1
            elif limit is not None and found.counts.total() >= limit:
                found.more = True
                return
            else:
                found.counts[one.last.cls.value, one.last.code] += 1
                yield one
