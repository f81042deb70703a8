"""One event → a POST by aiohttp, again until it is accepted."""

import asyncio

import aiohttp

from bench.peers.activity import PATH, PAUSE_S, body_of


async def deliver(session: aiohttp.ClientSession, url: str, value: bytes) -> None:
    """Returns when the event is accepted."""
    body = body_of(value)
    while True:
        try:
            async with session.post(url + PATH, data=body) as response:
                await response.read()
                if response.ok:
                    return
        except aiohttp.ClientError:
            pass
        await asyncio.sleep(PAUSE_S)
