"""Health, metrics and alerts over HTTP."""

from collections.abc import Callable

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest

from tidegate.intake.alerts import AlertIntake


class IntakeServer:
    """`/healthz`, `/readyz`, `/metrics`, and what `alerts` adds.

    Ready means that everything was listed, so decisions are made on facts. `healthy` and `ready` say what is in the
    way, None for nothing.
    """

    def __init__(
        self,
        *,
        host: str,
        port: int,
        registry: CollectorRegistry,
        healthy: Callable[[], str | None],
        ready: Callable[[], str | None],
        alerts: AlertIntake | None = None,
    ) -> None:
        self._host = host
        self._port = port
        self._registry = registry
        self._healthy = healthy
        self._ready = ready
        self._alerts = alerts
        self._runner: web.AppRunner | None = None
        self.port = port

    async def start(self) -> None:
        """Listen; `port` tells where, if it was left to the system."""
        app = web.Application(client_max_size=64 * 1024)
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._metrics)
        if self._alerts is not None:
            self._alerts.register(app)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self._port)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Close the door."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _healthz(self, _: web.Request) -> web.Response:
        return _said(self._healthy())

    async def _readyz(self, _: web.Request) -> web.Response:
        return _said(self._ready())

    async def _metrics(self, request: web.Request) -> web.Response:
        """All metrics, or those that `name[]` asks for, as other exporters in Python have it."""
        names = request.query.getall("name[]", [])
        wanted = self._registry.restricted_registry(names) if names else self._registry
        return web.Response(body=generate_latest(wanted), content_type="text/plain", charset="utf-8")


def _said(trouble: str | None) -> web.Response:
    return web.Response(text="ok\n") if trouble is None else web.Response(status=503, text=f"{trouble}\n")
