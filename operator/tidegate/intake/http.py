"""Health, metrics, alerts and webhooks over HTTP; webhooks by themselves over TLS where that is asked for."""

import asyncio
import ssl
from collections.abc import Callable

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest

from tidegate.intake.alerts import AlertIntake
from tidegate.intake.certificate import Certificate
from tidegate.intake.webhooks import WebhookIntake

#: Seconds that a connection is kept on which nobody asks for anything; aiohttp itself would wait for an hour.
IDLE = 75.0


class IntakeServer:
    """`/healthz`, `/readyz`, `/metrics`, and what `alerts` and `webhooks` add; these at a port of their own with `tls`.

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
        webhooks: WebhookIntake | None = None,
        tls: Certificate | None = None,
    ) -> None:
        self._host = host
        self._port = port
        self._registry = registry
        self._healthy = healthy
        self._ready = ready
        self._alerts = alerts
        self._webhooks = webhooks
        self._tls = tls
        self._runners: list[web.AppRunner] = []
        self._renewing: asyncio.Task[None] | None = None
        self.port = port
        self.tls_port = tls.port if tls is not None else 0

    async def start(self) -> None:
        """Listen; `port` tells where, if it was left to the system."""
        app = web.Application(client_max_size=64 * 1024)
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._metrics)
        if self._alerts is not None:
            self._alerts.register(app)
        if self._webhooks is not None and self._tls is None:
            self._webhooks.register(app)
        self.port = await self._listen(app, self.port)
        if self._webhooks is not None and self._tls is not None:
            secured = web.Application(client_max_size=64 * 1024)
            self._webhooks.register(secured)
            self.tls_port = await self._listen(secured, self._tls.port, self._tls.context)
            self._renewing = asyncio.create_task(self._tls.follow(), name="certificate")

    async def _listen(self, app: web.Application, port: int, tls: ssl.SSLContext | None = None) -> int:
        runner = web.AppRunner(app, access_log=None, keepalive_timeout=IDLE)
        self._runners.append(runner)
        await runner.setup()
        await web.TCPSite(runner, self._host, port, ssl_context=tls).start()
        found: int = runner.addresses[0][1]
        return found

    async def stop(self) -> None:
        """Close the doors."""
        if self._renewing is not None:
            self._renewing.cancel()
        for runner in self._runners:
            await runner.cleanup()

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
