"""Alerts over HTTP, on a real server: who is let in, what is refused, and when the answer comes."""

import asyncio
import io
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from prometheus_client import generate_latest
from tests.fakes.cluster import FakeCluster, refuse_kind
from tests.fakes.evidence import FakeEvidence
from tests.fakes.leases import FakeLeases
from tests.fakes.registry import FakeRegistry
from tests.fakes.reviews import FakeReviews
from tests.unit.core import builders as make

from tidegate.adapters.clock import SteadyClock
from tidegate.adapters.tokens import TokenFile
from tidegate.api.record import decode, encode
from tidegate.core.httproute import route
from tidegate.core.labels import KIND, RECORD, ROUTE_KIND
from tidegate.core.record import Record
from tidegate.intake.alerts import LARGEST, WRONG_BURST, Doors
from tidegate.intake.http import IntakeServer
from tidegate.loop.observe import Plan
from tidegate.ports import Manifest
from tidegate.process import alert_intake
from tidegate.settings import Settings
from tidegate.wiring import Operator

TOKEN = "a-token-that-nobody-guesses"
MINE = {"namespace": "ml", "modeldeployment": "fraud"}


class Site:
    """One replica that only watches, and the objects that it was told of."""

    def __init__(self, tokens: Path, reviews: FakeReviews | None = None) -> None:
        self.cluster = FakeCluster()
        self.registry = FakeRegistry()
        self.operator = Operator(
            settings=Settings(),
            cluster=self.cluster,
            registry=self.registry,
            writer=self.registry.writer,
            evidence=FakeEvidence(),
            clock=SteadyClock(),
            leases=FakeLeases(),
        )
        self.cluster.watchers.append(lambda _, body: self.operator.seen(body["kind"], body))
        doors = Doors(tokens=TokenFile(str(tokens)), reviews=reviews)
        self.server = IntakeServer(
            host="127.0.0.1",
            port=0,
            registry=self.operator.metrics.registry,
            healthy=lambda: None,
            ready=self.operator.listed,
            alerts=alert_intake(self.operator, doors),
        )

    async def open(self) -> None:
        await self.server.start()
        self.session = aiohttp.ClientSession(f"http://127.0.0.1:{self.server.port}")
        self.operator.relister.complete.set()

    async def close(self) -> None:
        await self.session.close()
        await self.server.stop()
        await self.operator.stop()
        await self.registry.close()

    def serve(self, name: str, record: Record, **guards: Any) -> None:
        """An object with its route."""
        spec = {
            "model": {"name": "fraud-detector", "alias": "champion"},
            "traffic": {"gateway": {"parentRefs": [{"name": "public"}], "hostnames": [f"{name}.example.com"]}},
            "guards": guards,
        }
        meta = {"namespace": "ml", "name": name}
        body = self.cluster.put({"apiVersion": "tidegate.dev/v1alpha1", "kind": KIND, "metadata": meta, "spec": spec})
        ref = make.plan().ref
        versions = {revision.name: revision.version.number for revision in record.revisions()}
        plan: Plan = make.plan(ref=type(ref)(namespace="ml", name=name, uid=body["metadata"]["uid"]))
        self.cluster.put(route(plan, record.weights(), versions, encode(record)))

    def record(self, name: str = "fraud") -> Record:
        live: Manifest | None = self.cluster.read(ROUTE_KIND, "ml", name)
        assert live is not None
        return decode(live["metadata"]["annotations"][RECORD])

    async def post(
        self, body: Any, *, path: str = "/alerts", token: str | None = TOKEN, **options: Any
    ) -> tuple[int, dict[str, Any], Mapping[str, str]]:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
        async with self.session.post(path, data=data, headers=headers, **options) as answer:
            return answer.status, json.loads(await answer.text()), answer.headers

    def counted(self, result: str) -> float:
        value = self.operator.metrics.registry.get_sample_value("tidegate_alerts_total", {"result": result})
        return value or 0.0


@pytest.fixture
def tokens(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text(f"{TOKEN}\n")
    return path


@pytest.fixture
async def site(tokens: Path) -> AsyncIterator[Site]:
    reviews = FakeReviews()
    reviews.tokens["token-of-alertmanager"] = "system:alertmanager"
    reviews.may.add(("system:alertmanager", "ml", "fraud"))
    made = Site(tokens, reviews)
    await made.open()
    yield made
    await made.close()


def firing(**fields: Any) -> dict[str, Any]:
    return {"name": "HighErrorRate", "labels": MINE, **fields}


def rolling(site: Site) -> Record:
    """Version 7 has 5 % since a minute."""
    now = site.operator.clock.now()
    return make.record(rollout=make.rollout(canary_since=now - 60, started=now - 90))


async def test_an_alert_about_the_canary_is_answered_when_the_route_says_so(site: Site) -> None:
    site.serve("fraud", rolling(site))

    status, said, _ = await site.post(firing())

    assert (status, said) == (200, {"alerts": {"reverted": 1}})
    assert site.record().weights() == {make.V6.name: 100, make.V7.name: 0}
    assert site.counted("reverted") == 1


async def test_a_webhook_of_alertmanager_tells_of_several_objects_at_once(site: Site) -> None:
    site.serve("fraud", make.idle())
    site.serve("chosen", make.idle(), alerts={"matchLabels": {"team": "risk"}})
    alert = {"status": "firing", "startsAt": "2025-11-21T15:59:00Z", "endsAt": "0001-01-01T00:00:00Z"}
    alerts = [
        {**alert, "fingerprint": "a1", "labels": {"alertname": "One", **MINE}},
        {**alert, "fingerprint": "b2", "labels": {"alertname": "Two", "team": "risk"}},
        {**alert, "fingerprint": "c3", "labels": {"alertname": "Three", "namespace": "elsewhere"}},
    ]

    status, said, _ = await site.post({"version": "4", "alerts": alerts}, path="/alerts/alertmanager")

    assert (status, said) == (200, {"alerts": {"foreign": 1, "noted": 2}})
    assert [alert.name for alert in site.record().alerts] == ["One"]
    assert [alert.name for alert in site.record("chosen").alerts] == ["Two"]
    assert [site.counted(result) for result in ("foreign", "noted", "nothing")] == [1, 2, 0]


async def test_what_is_resolved_again_leaves_the_route(site: Site) -> None:
    site.serve("fraud", make.idle())
    await site.post(firing())
    assert site.record().alerts

    assert (await site.post(firing()))[1] == {"alerts": {"nothing": 1}}
    assert (await site.post(firing(status="resolved")))[1] == {"alerts": {"resolved": 1}}
    assert site.record() == make.idle()


@pytest.mark.parametrize("token", [None, "", "wrong", TOKEN[:-1], f"{TOKEN}x"])
async def test_nobody_else_is_let_in(site: Site, token: str | None) -> None:
    site.serve("fraud", make.idle())

    status, said, headers = await site.post(firing(), token=token)

    assert (status, headers["WWW-Authenticate"]) == (401, 'Bearer realm="tidegate"')
    assert TOKEN not in str(said)
    assert not site.record().alerts
    lines = generate_latest(site.operator.metrics.registry).decode()
    assert 'tidegate_alert_requests_total{code="401",form="plain"} 1.0' in lines


async def test_a_service_account_may_tell_of_what_it_may_revert_and_of_nothing_else(site: Site) -> None:
    site.serve("fraud", make.idle())
    site.serve("other", make.idle())

    status, said, _ = await site.post(firing(), token="token-of-alertmanager")
    assert (status, said) == (200, {"alerts": {"noted": 1}})
    status, said, _ = await site.post(
        firing(labels={**MINE, "modeldeployment": "other"}), token="token-of-alertmanager"
    )
    assert status == 403
    assert "modeldeployments/revert of ml/other" in said["error"]
    assert not site.record("other").alerts
    assert site.counted("forbidden") == 1


async def test_what_can_not_be_said_or_written_now_is_asked_for_again(site: Site, tokens: Path) -> None:
    site.serve("fraud", make.idle())
    site.cluster.faults.append(refuse_kind(ROUTE_KIND))
    status, said, headers = await site.post(firing())
    assert (status, headers["Retry-After"]) == (503, "1")
    assert "ml/fraud" in said["error"]
    site.cluster.faults.clear()
    assert (await site.post(firing()))[0] == 200
    await asyncio.to_thread(tokens.unlink)
    assert (await site.post(firing()))[0] == 503


async def test_a_replica_that_has_not_listed_everything_takes_nothing(site: Site) -> None:
    site.operator.relister.complete.clear()

    assert (await site.post(firing()))[0] == 503


async def test_a_sender_that_tries_tokens_has_to_wait_and_keeps_nobody_out_who_has_one(site: Site) -> None:
    tries = 3 * int(WRONG_BURST)
    answers = await asyncio.gather(*(site.post(firing(), token="wrong") for _ in range(tries)))

    assert {status for status, *_ in answers} == {401, 503}
    assert all(int(headers["Retry-After"]) >= 1 for status, _, headers in answers if status == 503)
    assert (await site.post(firing()))[0] == 200


async def test_who_tells_too_often_is_asked_to_come_again_on_another_connection(
    tokens: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidegate.intake.alerts.RATE", 0.001)
    monkeypatch.setattr("tidegate.intake.alerts.BURST", 3.0)
    site = Site(tokens)
    await site.open()
    answers = [await site.post(firing()) for _ in range(4)]
    await site.close()

    # Alertmanager tells again after a 5xx, and drops what was answered with a 4xx.
    assert [status for status, *_ in answers] == [200, 200, 200, 503]
    assert answers[-1][2]["Connection"] == "close"
    assert "requests a second" in answers[-1][1]["error"]


async def test_a_body_that_is_too_large_is_not_read(site: Site) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b" " * (LARGEST // 16)

    headers = {"Authorization": f"Bearer {TOKEN}"}
    for body in (io.BytesIO(b" " * (LARGEST + 1)), endless()):
        async with site.session.post("/alerts", data=body, headers=headers) as answer:
            assert answer.status == 413
            assert "max_alerts" in await answer.text()


async def test_a_body_that_never_comes_is_not_waited_for(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidegate.intake.bounds.PATIENCE", 0.05)
    reader, writer = await asyncio.open_connection("127.0.0.1", site.server.port)
    head = f"POST /alerts HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: 100\r\n\r\n{{"
    writer.write(head.encode())

    assert b" 503 " in await reader.readline()
    writer.close()
    await writer.wait_closed()


async def test_a_body_that_is_no_alert_is_refused_with_the_place(site: Site) -> None:
    status, said, _ = await site.post({"version": "4", "alerts": [{}]}, path="/alerts/alertmanager")

    assert status == 400
    assert "body.alerts[0].labels" in said["error"]


async def test_without_a_way_to_know_anybody_there_is_no_door(site: Site) -> None:
    server = IntakeServer(
        host="127.0.0.1",
        port=0,
        registry=site.operator.metrics.registry,
        healthy=lambda: None,
        ready=site.operator.listed,
        alerts=alert_intake(site.operator, Doors()),
    )
    await server.start()
    async with site.session.post(f"http://127.0.0.1:{server.port}/alerts") as answer:
        assert answer.status == 404
    await server.stop()


async def test_while_nobody_says_whose_token_it_is_the_sender_is_asked_to_come_again(tokens: Path) -> None:
    reviews = FakeReviews()
    reviews.down = True
    site = Site(tokens, reviews)
    await site.open()
    site.serve("fraud", make.idle())

    status, _, headers = await site.post(firing(), token="token-of-alertmanager")
    assert (status, headers["Retry-After"]) == (503, "1")
    assert (await site.post(firing()))[0] == 200
    await site.close()
