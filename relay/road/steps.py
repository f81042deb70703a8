"""Steps of a shutdown: each is taken, whatever became of those before."""

from collections.abc import Awaitable, Callable


async def each(*steps: Callable[[], Awaitable[None]]) -> Exception | None:
    """Take the steps in turn; the error of the first that failed.

    The first, since what fails after it often fails because of it. A cancellation ends the rest.
    """
    first: Exception | None = None
    for step in steps:
        try:
            await step()
        except Exception as error:  # noqa: BLE001 - handed back
            first = first or error
    return first
