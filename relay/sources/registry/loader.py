"""Fills the cache of schemas: `resolve(key)` returns when the cache knows the answer.

Whoever reads a topic holds what it read meanwhile, so the order stays as it was. While the
registry cannot be asked this waits without a limit; the beginning and the end of such a time are
facts, and `problem` has the reason.
"""

import asyncio
from collections.abc import Awaitable, Callable
from random import Random

from relay.errors import SettingsError
from relay.model import SchemaKey, Undecodable
from relay.sources.formats.outcome import FormatCode
from relay.sources.formats.schemas import NoSchema, Schema, SchemaCache, SchemaUnusable
from relay.sources.registry.client import NotFound, RegistryClient, Unavailable
from relay.sources.registry.compiling import CompilerFailed, compile_schema
from relay.sources.registry.facts import RegistryAvailable, RegistryUnavailable
from relay.sources.registry.policy import RegistryPolicy
from relay.sources.registry.waiting import AskAgain, Outcome, Patience, Wait
from relay.telemetry.facts import Emit

Sleep = Callable[[float], Awaitable[None]]


class SchemaLoader:
    """Owner of the cache. `schemas` is what formats look into."""

    def __init__(
        self,
        client: RegistryClient,
        policy: RegistryPolicy,
        rng: Random,
        emit: Emit,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self.schemas = SchemaCache(policy.schemas_max)
        self._client = client
        self._policy = policy
        self._rng = rng
        self._emit = emit
        self._sleep = sleep
        self._patience = Patience(policy)
        self._asking: dict[SchemaKey, asyncio.Lock] = {}
        self._away_since: float | None = None
        self._problems: dict[SchemaKey, str] = {}

    @property
    def problem(self) -> str | None:
        """Why a schema cannot be had now and is asked for again; None while all can."""
        return next(iter(self._problems.values()), None)

    async def resolve(self, key: SchemaKey) -> None:
        """Return when `schemas.get(key)` is an answer. May be cancelled and called again."""
        lock = self._asking.setdefault(key, asyncio.Lock())
        try:
            async with lock:
                if self.schemas.get(key) is None:
                    self.schemas.put(key, await self._load(key))
        finally:
            self._problems.pop(key, None)
            if not lock.locked():
                self._asking.pop(key, None)

    async def _load(self, key: SchemaKey) -> Schema | NoSchema:
        wait = Wait(self._policy, self._patience, self._rng)
        while True:
            try:
                # What a look-up ends with, and what follows:
                #
                #     a schema               it is cached, and records are read
                #     one of no use          cached as such for a while: a dead letter for each of
                #                            its records
                #     the registry has none  asked again while an id is waited for, then as above
                #     the registry is away   asked again, without an end: no record is to blame
                found = await self._look_up(key)
            except SchemaUnusable as error:
                self._available(key)
                return self._unusable(key, error)
            if not isinstance(found, NotFound | Unavailable):
                self._available(key)
                wait.found()
                return found
            now = asyncio.get_running_loop().time()
            if isinstance(found, Unavailable):
                self._unavailable(key, found, now)
                step = wait.after(Outcome.UNAVAILABLE, now, found.retry_after_s)
            else:
                self._available(key)
                step = wait.after(Outcome.NOT_FOUND, now)
            if not isinstance(step, AskAgain):
                return self._unknown(key)
            await self._sleep(step.after_s)

    async def _look_up(self, key: SchemaKey) -> Schema | NotFound | Unavailable:
        found = await self._client.look_up(key)
        if isinstance(found, NotFound | Unavailable):
            return found
        try:
            return await compile_schema(found)
        except CompilerFailed as error:
            return Unavailable(str(error), refused=True)
        except SettingsError as error:  # a package is not installed: no record's fault
            hint = "" if error.hint is None else f" ({error.hint})"
            return Unavailable(f"{error.problem}{hint}", refused=True)

    def _unknown(self, key: SchemaKey) -> NoSchema:
        self._forget_later(key)
        return NoSchema(
            Undecodable(
                FormatCode.SCHEMA_UNKNOWN, f"the registry has no schema {key} (schema_registry)"
            )
        )

    def _unusable(self, key: SchemaKey, error: SchemaUnusable) -> NoSchema:
        self._forget_later(key)
        return NoSchema(Undecodable(FormatCode.SCHEMA_UNUSABLE, f"schema {key} {error}"))

    def _forget_later(self, key: SchemaKey) -> None:
        """It may come, or be repaired: ask again some time, without waiting for it again."""
        asyncio.get_running_loop().call_later(self._policy.unknown_for_s, self.schemas.forget, key)

    def _unavailable(self, key: SchemaKey, why: Unavailable, now: float) -> None:
        if self._away_since is None:
            self._away_since = now
        is_news = why.reason not in self._problems.values()
        self._problems[key] = why.reason
        if is_news:
            self._emit(RegistryUnavailable(reason=why.reason, refused=why.refused))

    def _available(self, key: SchemaKey) -> None:
        self._problems.pop(key, None)
        if self._away_since is not None and not self._problems:
            held_s = asyncio.get_running_loop().time() - self._away_since
            self._away_since = None
            self._emit(RegistryAvailable(held_s=round(held_s, 1)))
