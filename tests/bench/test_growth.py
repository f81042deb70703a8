import pytest

from bench.growth import cost_us
from bench.workload import Workload


@pytest.mark.parametrize("concurrency", [1, 64])
async def test_the_simulated_ends_let_every_event_through(concurrency):
    # It ends when the last request was accepted; one that is missing would hang.
    workload = Workload(3_000, users=20, zipf=0)
    assert await cost_us(workload, partitions=3, concurrency=concurrency) > 0
