"""How the loop's workers wait: for news, but not for ever."""

import asyncio
from contextlib import suppress


async def pause(news: asyncio.Event, seconds: float | None) -> None:
    """Wait until there is news, or so many seconds are over; None waits for news alone."""
    # Not `wait_for`: before Python 3.12 it forgets a cancellation that comes together with the news.
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await news.wait()
