"""Steady traffic, in a process of its own, and every answer of it.

`python -m tests.driver.load` sends requests at a constant rate (an open loop: a slow answer delays no other request)
and writes a JSON line for each answer. `Load` runs that program inside the cluster's network and reads what it wrote.
"""

import argparse
import asyncio
import json
import random
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import aiohttp

LONGEST = 6 * 3600.0  # seconds; no loop here is without an end
IN_FLIGHT = 200


@dataclass(frozen=True, slots=True)
class Answer:
    """One request: when it started and ended (seconds since the epoch), and what came of it.

    `status` is 0 where no answer came; `error` says why. `revision` is what the pod named, `version` what the route's
    filter set.
    """

    started: float
    ended: float
    status: int
    revision: str
    version: str
    error: str
    body: str

    @property
    def good(self) -> bool:
        """Whether it was answered 2xx."""
        return 200 <= self.status < 300


class Sender:
    """The loop of the program."""

    def __init__(self, args: argparse.Namespace) -> None:
        self._args = args
        self._bodies = Path(args.bodies).read_bytes().splitlines() if args.bodies else [b"{}"]
        self._random = random.Random(args.seed)
        self._tasks: set[asyncio.Task[None]] = set()
        self._stop = asyncio.Event()

    async def run(self) -> None:
        """Send until told to stop or the time is over."""
        loop = asyncio.get_running_loop()
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, self._stop.set)
        # A connection for each request would measure the handshake; one for all would go to one Envoy worker.
        connector = aiohttp.TCPConnector(limit=IN_FLIGHT, keepalive_timeout=30)
        timeout = aiohttp.ClientTimeout(total=self._args.timeout)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            begin = loop.time()
            count = 0
            while not self._stop.is_set() and loop.time() - begin < min(self._args.seconds, LONGEST):
                count += 1
                # What hangs takes room; a request that finds none is not sent, so that a stop never waits for a queue.
                if len(self._tasks) < IN_FLIGHT:
                    task = asyncio.create_task(self._one(session))
                    self._tasks.add(task)
                    task.add_done_callback(self._tasks.discard)
                await asyncio.sleep(begin + count / self._args.rate - loop.time())
            await asyncio.gather(*self._tasks)

    async def _one(self, session: aiohttp.ClientSession) -> None:
        body = self._random.choice(self._bodies)
        headers = {"Host": self._args.host, "Content-Type": "application/json"}
        started = time.time()
        line: dict[str, object] = {"started": started}
        try:
            async with session.post(self._args.url, data=body, headers=headers) as answer:
                text = await answer.read()
                line |= {
                    "status": answer.status,
                    "revision": answer.headers.get("x-tidegate-revision", ""),
                    "version": answer.headers.get("x-model-version", ""),
                }
                if answer.status >= 300:
                    line["body"] = text[:200].decode("utf-8", "replace")
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            line |= {"status": 0, "error": f"{type(error).__name__}: {error}"}
        line["ended"] = time.time()
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()


def parse(line: str) -> Answer:
    """One line of the program's output."""
    fields = json.loads(line)
    return Answer(
        started=fields["started"],
        ended=fields["ended"],
        status=fields["status"],
        revision=fields.get("revision", ""),
        version=fields.get("version", ""),
        error=fields.get("error", ""),
        body=fields.get("body", ""),
    )


def arguments() -> argparse.ArgumentParser:
    """What the program takes."""
    parser = argparse.ArgumentParser(prog="python -m tests.driver.load", description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--host", required=True)
    parser.add_argument("--rate", type=float, default=50.0, help="requests a second")
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--timeout", type=float, default=10.0)
    parser.add_argument("--bodies", help="file with one request body a line")
    parser.add_argument("--seed", type=int, default=1)
    return parser


if __name__ == "__main__":
    asyncio.run(Sender(arguments().parse_args()).run())
