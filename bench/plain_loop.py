r"""The loop that most people would write: aiokafka and one shared `httpx.AsyncClient`.

    python -m bench.plain_loop --bootstrap localhost:9092 --topic app-events \
        --url http://127.0.0.1:8099 --events 100000 [--in-flight 64]

It reads a batch, posts each event, tries again what was not accepted, and commits the batch. With
one in flight (the default) it keeps the order of each partition and loses nothing. With more it
posts a batch's events together: quicker, in no order. It stops after `--events` accepted ones.

Nothing of relay is used: this is what somebody starts from.
"""

import argparse
import asyncio
import json
import time

import httpx
from aiokafka import AIOKafkaConsumer, ConsumerRecord

TRIES_PAUSE_S = 0.05


def activity_of(record: ConsumerRecord) -> dict[str, object]:
    """The event as the tracking API wants it."""
    event = json.loads(record.value)
    return {
        "$ts": event["ts"],
        "$type": "APP_VISIT",
        "$app_id": event["app_id"],
        "$session_status": event["session_status"],
        "$user_identifiers": [
            {"$type": "USER_ACCOUNT", "$compartment_id": "1000", "$user_account_id": account["id"]}
            for account in event["user"]["accounts"]
        ],
        "$events": [{"$event_name": event["event"], "$properties": event["properties"]}],
    }


async def run(given: argparse.Namespace) -> int:
    """Consumes until enough was accepted; how many were."""
    url = f"{given.url}/v1/datamarts/1234/user_activities"
    consumer = AIOKafkaConsumer(
        given.topic,
        bootstrap_servers=given.bootstrap,
        group_id=given.group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    room = asyncio.Semaphore(given.in_flight)
    # One shared client, the pool as large as the concurrency: what httpx's documentation advises.
    limits = httpx.Limits(
        max_connections=given.in_flight, max_keepalive_connections=given.in_flight
    )
    async with httpx.AsyncClient(
        limits=limits, timeout=30, headers={"authorization": "api:token"}
    ) as client:

        async def deliver(record: ConsumerRecord) -> None:
            activity = activity_of(record)
            async with room:
                while True:
                    try:
                        response = await client.post(url, json=activity)
                    except httpx.TransportError:
                        await asyncio.sleep(TRIES_PAUSE_S)
                        continue
                    if response.is_success:
                        return
                    await asyncio.sleep(float(response.headers.get("retry-after", TRIES_PAUSE_S)))

        accepted = 0
        await consumer.start()
        try:
            while accepted < given.events:
                batches = await consumer.getmany(timeout_ms=500, max_records=500)
                records = [record for batch in batches.values() for record in batch]
                if given.in_flight == 1:
                    for record in records:
                        await deliver(record)
                else:
                    async with asyncio.TaskGroup() as group:
                        for record in records:
                            group.create_task(deliver(record))
                if records:
                    await consumer.commit()
                    accepted += len(records)
        finally:
            await consumer.stop()
    return accepted


def main() -> None:
    """The command line; prints one JSON object."""
    parser = argparse.ArgumentParser(prog="bench.plain_loop", description=__doc__.splitlines()[0])
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--url", required=True)
    parser.add_argument("--events", type=int, required=True)
    parser.add_argument("--group", default="plain-loop")
    parser.add_argument("--in-flight", type=int, default=1)
    given = parser.parse_args()
    began = time.perf_counter()
    accepted = asyncio.run(run(given))
    print(
        json.dumps(
            {
                "accepted": accepted,
                "seconds": time.perf_counter() - began,
                "cpu_seconds": time.process_time(),
            }
        )
    )


if __name__ == "__main__":
    main()
