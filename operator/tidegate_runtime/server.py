"""The server process: listen, load, serve, drain.

It listens before it loads, so that probes and scrapes are answered from the start, and it serves on after SIGTERM until
the requests stop coming: a pod gets SIGTERM while gateways still send to it, and nobody's request may fail for that.
"""

import asyncio
import contextlib
import logging
import signal
import socket
import threading
import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from typing import Any, Final

import uvicorn

from tidegate_runtime.app import Answering, Application, Phase
from tidegate_runtime.faults import ListenFailed, LoadFailed, RuntimeFault
from tidegate_runtime.metrics import Metrics
from tidegate_runtime.settings import ServeSettings

_logger = logging.getLogger(__name__)

# Envoy keeps idle upstream connections for up to an hour; the side that closes first must not be this one.
KEEP_ALIVE_SECONDS: Final = 3700
BACKLOG: Final = 2048
# No request for this long after SIGTERM means that the gateways have noticed.
QUIET_SECONDS: Final = 1.0
_TICK_SECONDS: Final = 0.05
# Of the time to drain: what closing connections and leaving takes besides waiting for answers, on a busy machine.
_MARGIN_SECONDS: Final = 1.0


class _Server(uvicorn.Server):
    """uvicorn, but for signals: it would stop listening at once, and end by raising the signal again."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave the signals to ``serve``."""
        yield


async def serve(settings: ServeSettings) -> None:
    """Serve until SIGTERM or SIGINT, then drain.

    Threads of the model may still hang when this returns; the caller has to end the process without joining them.

    Raises:
        RuntimeFault: The port can't be listened on, or the model can't be loaded or does not answer its own example.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    metrics = Metrics(
        revision=settings.revision, version=settings.model_version, started_at=time.time(), clock=time.monotonic
    )
    application = Application(
        revision=settings.revision,
        metrics=metrics,
        executor=ThreadPoolExecutor(settings.threads, thread_name_prefix="predict"),
        max_body_bytes=settings.max_body_bytes,
        mlflow_version=version("mlflow-skinny"),
    )
    listener = listen(settings.port)
    server = _Server(_config(application))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    serving.add_done_callback(lambda _: stop.set())
    _logger.info("listening on port %d", listener.getsockname()[1])
    if await _loaded(application, settings, stop):
        _logger.info("ready: version %s as %s", settings.model_version, settings.revision)
        await stop.wait()
    await _drain(application, metrics, server, settings.drain_seconds)
    await serving


def _config(application: Application) -> uvicorn.Config:
    return uvicorn.Config(
        application,
        http="h11",
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        backlog=BACKLOG,
    )


def listen(port: int) -> socket.socket:
    """Listen on every address, IPv6 included where the machine has it.

    Args:
        port: The TCP port; 0 takes a free one.

    Raises:
        ListenFailed: The port is taken, or not ours to take.
    """
    try:
        listener = _bound(port)
    except OSError as error:
        raise ListenFailed(f"port {port} can't be listened on: {error.strerror}; set TIDEGATE_PORT") from error
    # Accepted connections inherit it. asyncio sets it on sockets that name TCP as their protocol only; these don't,
    # and without it the second half of each answer waits 40 ms for a delayed acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _bound(port: int) -> socket.socket:
    if socket.has_dualstack_ipv6():
        # A machine may know IPv6 and have it switched off.
        with contextlib.suppress(OSError):
            return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=BACKLOG)
    return socket.create_server(("", port), backlog=BACKLOG)


async def _loaded(application: Application, settings: ServeSettings, stop: asyncio.Event) -> bool:
    """Load and warm up the model in a thread, so that probes are answered meanwhile.

    Returns:
        False if the process was told to stop before the model was ready.
    """
    loading = _in_daemon_thread(application, settings)
    stopping = asyncio.create_task(stop.wait())
    first: set[asyncio.Future[Any]] = {loading, stopping}
    await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
    if not loading.done():
        return False
    stopping.cancel()
    application.model = loading.result()
    application.phase = Phase.READY
    return True


def _in_daemon_thread(application: Application, settings: ServeSettings) -> asyncio.Future[Answering]:
    """Start loading; a daemon thread, because a loader that hangs must not keep the process from ending."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Answering] = loop.create_future()

    def settle(outcome: Answering | RuntimeFault) -> None:
        if isinstance(outcome, RuntimeFault):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)

    def run() -> None:
        outcome: Answering | RuntimeFault
        try:
            outcome = _load(application, settings)
        except RuntimeFault as fault:
            outcome = fault
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever it is, probes must not wait for ever
            outcome = LoadFailed(f"the model can't be loaded: {error!r}")
        loop.call_soon_threadsafe(settle, outcome)

    threading.Thread(target=run, name="load", daemon=True).start()
    return future


def _load(application: Application, settings: ServeSettings) -> Answering:
    # Imported here: pandas and MLflow take seconds, in which the port has to be open already.
    from tidegate_runtime.model import Model  # noqa: PLC0415

    began = time.monotonic()
    model = Model.load(settings.model_dir)
    application.phase = Phase.WARMING_UP
    warmed = model.warm_up()
    if not warmed:
        _logger.warning("the model has no saved input example to warm up with: log it with input_example")
    _logger.info("loaded in %.1f s", time.monotonic() - began)
    return model


async def _drain(application: Application, metrics: Metrics, server: uvicorn.Server, seconds: int) -> None:
    """Say not ready, serve what still comes, then close.

    The first half of the time at most goes by while requests keep coming; what is in flight then has the other half.
    """
    loop = asyncio.get_running_loop()
    application.phase = Phase.DRAINING
    end = loop.time() + seconds
    seen, quiet_since = metrics.started, loop.time()
    _logger.info("draining: %d requests in flight", metrics.in_flight)
    while loop.time() < end - seconds / 2:
        await asyncio.sleep(_TICK_SECONDS)
        if metrics.in_flight or metrics.started != seen:
            seen, quiet_since = metrics.started, loop.time()
        elif loop.time() - quiet_since >= min(QUIET_SECONDS, seconds / 4):
            break
    # uvicorn waits in whole or broken seconds alike, its annotation knows whole ones only.
    server.config.timeout_graceful_shutdown = max(end - loop.time() - min(_MARGIN_SECONDS, seconds / 4), 0.1)  # type: ignore[assignment]
    server.should_exit = True
