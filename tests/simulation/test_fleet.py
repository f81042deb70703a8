"""A group before an API that grants all of it a rate. `bench.scale` runs it with 200 members."""

from tests.support.simulation.fleet import Fleet, FleetWorld

TWELVE = Fleet(
    members=12,
    granted=72.0,
    warm_s=20,
    ordinary_s=15,
    restarts=2,
    restart_every_s=5.0,
    outage_s=10,
    after_s=10,
)


def test_uneven_partitions_leave_nothing_of_a_shared_rate_unused():
    world = FleetWorld(TWELVE).run()
    assert world.broken() == {}
    for name in ("ordinary", "rolling deploy", "after it"):
        phase = world.phase(name)
        assert phase.used >= 0.95, name
        assert phase.sent_most <= 1.05, name
    assert world.phase("outage").used < 0.01
