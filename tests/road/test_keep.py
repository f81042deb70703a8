"""A road that fails is started again, and what must end the process ends it."""

import asyncio

import pytest

from relay.backoff import RestartPolicy
from relay.errors import (
    DrainIncomplete,
    KafkaRefused,
    KafkaUnreachable,
    SettingsError,
)
from relay.road.facts import RoadFailed
from relay.road.keep import KeptRoad
from relay.telemetry.health import Health, Roads
from tests.support.simulation.roads import virtually


class Reporter:
    def readiness(self):
        return Health(ok=True, reason="running")

    def liveness(self):
        return Health(ok=True, reason="progress")

    def status(self):
        return {"lifecycle": "running"}

    def metrics(self):
        return ()


class FakeRoad:
    """Ends as it is told; one of these for each start."""

    def __init__(self, end, runs=True):
        self._end = end
        self._runs = runs
        self.has_run = False
        self.reporter = Reporter()
        self.stopped = asyncio.Event()

    def stop(self, _reason):
        self.stopped.set()

    async def run(self):
        self.has_run = self._runs
        await asyncio.sleep(1)
        if self._end is not None:
            raise self._end
        await self.stopped.wait()


RESTART = RestartPolicy()


class Kept:
    """A kept road that goes through these lives, and what it said."""

    def __init__(self, *lives, policy=RESTART):
        self.made = []
        self.facts = []
        waiting = iter(lives)

        def make():
            self.made.append(next(waiting))
            return self.made[-1]

        self.road = KeptRoad("stream", make, self.facts.append, policy)


@virtually
async def test_it_is_started_again_and_is_not_ready_meanwhile():
    kept = Kept(FakeRoad(KafkaUnreachable("no broker answers")), FakeRoad(None))
    running = asyncio.ensure_future(kept.road.run())  # noqa: TID251
    await asyncio.sleep(1.5)
    ready = kept.road.readiness()
    assert not ready.ok
    assert "no broker answers" in ready.reason
    assert kept.road.status()["failed"] == "no broker answers"
    await asyncio.sleep(5)
    assert kept.road.readiness().ok
    kept.road.stop("enough")
    await running
    (told,) = kept.facts
    assert (told.code, told.restart_in_s, told.trace) == ("KafkaUnreachable", 1.0, ())


@virtually
async def test_pauses_double_and_a_healthy_life_begins_anew():
    lives = [FakeRoad(KafkaUnreachable("gone")) for _ in range(7)]
    kept = Kept(*lives, FakeRoad(None))
    running = asyncio.ensure_future(kept.road.run())  # noqa: TID251
    await asyncio.sleep(300)
    assert [fact.restart_in_s for fact in kept.facts] == [1, 2, 4, 8, 16, 30, 30]
    kept.road.stop("enough")
    await running


@virtually
async def test_a_defect_is_told_with_its_place_and_without_its_text():
    class Secret(Exception):
        pass

    kept = Kept(FakeRoad(Secret("somebody@example.com")), FakeRoad(None))
    running = asyncio.ensure_future(kept.road.run())  # noqa: TID251
    await asyncio.sleep(5)
    (told,) = kept.facts
    assert isinstance(told, RoadFailed)
    assert told.code == "defect"
    assert told.trace[-1].endswith(" run")
    assert "example.com" not in str(told)
    kept.road.stop("enough")
    await running


@pytest.mark.parametrize(
    ("life", "why"),
    [
        (FakeRoad, KafkaUnreachable("was never there")),
        (FakeRoad, KafkaRefused("no access")),
    ],
)
def test_what_has_never_run_ends_the_process(life, why):
    @virtually
    async def scenario():
        kept = Kept(life(why, runs=False), FakeRoad(None))
        with pytest.raises(type(why)):
            await kept.road.run()
        assert kept.facts == []

    scenario()


@pytest.mark.parametrize("why", [SettingsError("a file is gone"), DrainIncomplete("late")])
def test_what_no_restart_mends_ends_the_process(why):
    @virtually
    async def scenario():
        kept = Kept(FakeRoad(why), FakeRoad(None))
        with pytest.raises(type(why)):
            await kept.road.run()

    scenario()


@virtually
async def test_without_a_policy_nothing_is_started_again():
    kept = Kept(FakeRoad(KafkaUnreachable("gone")), policy=None)
    with pytest.raises(KafkaUnreachable):
        await kept.road.run()


@virtually
async def test_a_stop_between_two_lives_ends_it():
    kept = Kept(*(FakeRoad(KafkaUnreachable("gone")) for _ in range(9)))
    running = asyncio.ensure_future(kept.road.run())  # noqa: TID251
    await asyncio.sleep(15)  # after the fourth life, before the fifth
    kept.road.stop("enough")
    async with asyncio.timeout(1):
        await running


@virtually
async def test_a_neighbour_stays_as_it_is_and_the_process_is_not_ready():
    failing = Kept(FakeRoad(KafkaUnreachable("gone")), FakeRoad(None))
    fine = Kept(FakeRoad(None))
    seen = Roads(fine.road, {"segments": failing.road})
    tasks = [asyncio.ensure_future(kept.road.run()) for kept in (failing, fine)]  # noqa: TID251
    await asyncio.sleep(1.5)
    assert not seen.readiness().ok
    assert fine.road.readiness().ok
    assert seen.status()["segments"]["failed"] == "gone"
    for kept in (failing, fine):
        kept.road.stop("enough")
    await asyncio.wait(tasks)
    assert fine.facts == []
