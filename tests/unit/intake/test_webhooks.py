"""Webhooks of MLflow: who is believed, what a call may cause, and the way from any replica to the one that leads."""

import asyncio
import base64
import hashlib
import hmac
import json
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tests.fixtures.certificate import certify

from tidegate.adapters.clock import SteadyClock
from tidegate.adapters.relay import LeaderRelay
from tidegate.adapters.signatures import SecretFile
from tidegate.intake.certificate import Certificate
from tidegate.intake.http import IntakeServer
from tidegate.intake.webhooks import DELIVERY, LARGEST, PATH, RELAYED, SIGNATURE, TIMESTAMP, WINDOW, WebhookIntake
from tidegate.telemetry import Metrics

SECRET = "a-secret-of-the-webhook"


class Clock(SteadyClock):
    """Real time, and as much more as the test says; or one moment."""

    ahead = 0.0
    stopped: float | None = None

    def now(self) -> float:
        return super().now() + self.ahead

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead if self.stopped is None else self.stopped


def body(model: str = "fraud") -> bytes:
    told = {"entity": "model_version_alias", "action": "created", "timestamp": "2026-11-21T20:00:00+00:00"}
    return json.dumps(told | {"data": {"name": model, "alias": "champion", "version": "7"}}).encode()


def headers(content: bytes, *, secret: str = SECRET, delivery: str = "d-1", at: float) -> dict[str, str]:
    """As MLflow signs (its webhooks/delivery.py)."""
    stamp = str(int(at))
    signed = f"{delivery}.{stamp}.{content.decode()}".encode()
    digest = hmac.new(secret.encode(), signed, hashlib.sha256).digest()
    return {SIGNATURE: f"v1,{base64.b64encode(digest).decode()}", TIMESTAMP: stamp, DELIVERY: delivery}


class Replica:
    """One replica's door. `leader` is the replica that it takes for the leader."""

    def __init__(self, file: Path, tls: Certificate | None = None, cert_file: str = "") -> None:
        self.clock = Clock()
        self.hints: list[str] = []
        self.leads = True
        self.leader: Replica | None = None
        self.metrics = Metrics()
        self.cert_file = cert_file
        self.server = IntakeServer(
            host="127.0.0.1",
            port=0,
            registry=self.metrics.registry,
            healthy=lambda: None,
            ready=lambda: None,
            webhooks=WebhookIntake(
                signatures=SecretFile(str(file)),
                hint=self._hint,
                leads=lambda: self.leads,
                relay=LeaderRelay(lambda: self.leader.url if self.leader else "", PATH, cert_file=cert_file),
                clock=self.clock,
                metrics=self.metrics,
            ),
            tls=tls,
        )

    def _hint(self, model: str) -> bool:
        self.hints.append(model)
        return model == "fraud"

    @property
    def url(self) -> str:
        if self.cert_file:
            return f"https://127.0.0.1:{self.server.tls_port}"
        return f"http://127.0.0.1:{self.server.port}"

    async def post(self, content: bytes, with_: dict[str, str], tls: ssl.SSLContext | bool = True) -> tuple[int, Any]:
        async with (
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls)) as session,
            session.post(f"{self.url}{PATH}", data=content, headers=with_) as answer,
        ):
            return answer.status, await answer.json(content_type=None)

    async def call(self, content: bytes = b"", **signed: Any) -> tuple[int, Any]:
        content = content or body()
        return await self.post(content, headers(content, **{"at": self.clock.now(), **signed}))


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    file = tmp_path / "secrets"
    file.write_text(f"{SECRET}\n")
    return file


def keep(file: Path, *lines: str) -> None:
    """The file's new content; without lines it is gone."""
    if lines:
        file.write_text("".join(f"{line}\n" for line in lines))
    else:
        file.unlink()


@pytest.fixture
async def replica(secrets: Path) -> AsyncIterator[Replica]:
    made = Replica(secrets)
    await made.server.start()
    yield made
    await made.server.stop()


@pytest.fixture
async def other(secrets: Path) -> AsyncIterator[Replica]:
    made = Replica(secrets)
    await made.server.start()
    yield made
    await made.server.stop()


async def test_a_signed_call_is_a_hint_for_its_model(replica: Replica) -> None:
    assert await replica.call() == (202, {"read": True})
    assert await replica.call(body("another"), delivery="d-2") == (202, {"read": False})
    assert replica.hints == ["fraud", "another"]


async def test_what_is_not_signed_with_a_known_secret_is_refused(replica: Replica) -> None:
    good = headers(body(), at=replica.clock.now())
    forged = [
        {},
        good | {SIGNATURE: ""},
        good | {SIGNATURE: "v1,äöü"},
        good | {SIGNATURE: good[SIGNATURE].removeprefix("v1,")},
        good | {DELIVERY: "d-2"},
        good | {TIMESTAMP: str(int(good[TIMESTAMP]) + 1)},
        headers(body(), secret="another-secret-of-others", at=replica.clock.now()),
        headers(body("another"), at=replica.clock.now()),
    ]
    for number, given in enumerate(forged):
        assert (await replica.post(body(), given))[0] == 401, number
    assert replica.hints == []


async def test_a_call_of_another_time_is_refused(replica: Replica) -> None:
    for at in (replica.clock.now() - WINDOW - 5, replica.clock.now() + WINDOW + 5):
        assert (await replica.call(at=at))[0] == 401
    assert (await replica.call(at=replica.clock.now() - WINDOW + 5))[0] == 202


async def test_a_delivery_is_taken_once(replica: Replica) -> None:
    content = body()
    given = headers(content, at=replica.clock.now())
    assert [(await replica.post(content, given))[0] for _ in range(3)] == [202, 409, 409]
    assert replica.hints == ["fraud"]


async def test_what_was_taken_is_remembered_for_as_long_as_it_could_be_played_again(replica: Replica) -> None:
    content = body()
    given = headers(content, at=replica.clock.now() + WINDOW - 5)
    assert (await replica.post(content, given))[0] == 202
    replica.clock.ahead = 2 * WINDOW - 10
    assert (await replica.post(content, given))[0] == 409
    replica.clock.ahead = 3 * WINDOW
    assert (await replica.post(content, given))[0] == 401


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"data": []}', b'{"data": {"name": 7}}', b"\xff", b"[" * 50_000])
async def test_a_body_without_a_model_is_refused(replica: Replica, content: bytes) -> None:
    stamp = str(int(replica.clock.now()))
    digest = hmac.new(SECRET.encode(), f"d-1.{stamp}.".encode() + content, hashlib.sha256).digest()
    given = {SIGNATURE: f"v1,{base64.b64encode(digest).decode()}", TIMESTAMP: stamp, DELIVERY: "d-1"}
    assert (await replica.post(content, given))[0] == 400


async def test_a_body_that_is_too_large_is_not_read(replica: Replica) -> None:
    assert (await replica.post(b"x" * (LARGEST + 1), {}))[0] == 413


async def test_a_sender_that_guesses_is_slowed_down(replica: Replica) -> None:
    replica.clock.stopped = replica.clock.monotonic()
    codes = [(await replica.call(secret="a-wrong-secret-of-somebody"))[0] for _ in range(30)]
    assert codes[0] == 401
    assert codes[-1] == 429
    assert replica.hints == []


async def test_a_new_secret_is_taken_without_a_restart_beside_the_old_one(replica: Replica, secrets: Path) -> None:
    fresh = "the-secret-of-tomorrow"
    assert (await replica.call(secret=fresh))[0] == 401
    keep(secrets, SECRET, fresh)
    assert (await replica.call(secret=fresh, delivery="d-2"))[0] == 202
    assert (await replica.call(delivery="d-3"))[0] == 202


async def test_without_its_secrets_nobody_is_believed(replica: Replica, secrets: Path) -> None:
    keep(secrets)
    assert (await replica.call())[0] == 503


async def test_a_short_secret_is_none(replica: Replica, secrets: Path) -> None:
    keep(secrets, "short")
    assert (await replica.call(secret="short"))[0] == 401


async def test_a_replica_that_does_not_lead_passes_the_call_on(replica: Replica, other: Replica) -> None:
    replica.leads, replica.leader = False, other
    assert await replica.call() == (202, {"read": True})
    assert (replica.hints, other.hints) == ([], ["fraud"])


async def test_a_call_is_passed_on_once_and_told_again_where_nobody_leads(replica: Replica, other: Replica) -> None:
    replica.leads, replica.leader = False, other
    other.leads, other.leader = False, replica
    assert (await replica.call())[0] == 503
    content = body()
    relayed = headers(content, at=other.clock.now(), delivery="d-2") | {RELAYED: "1"}
    assert (await other.post(content, relayed))[0] == 503
    # MLflow says it again under the same number, and by now somebody leads.
    other.leads = True
    assert (await replica.call())[0] == 202
    assert other.hints == ["fraud"]


async def test_without_a_known_leader_the_sender_is_to_try_again(replica: Replica) -> None:
    replica.leads = False
    assert (await replica.call())[0] == 503


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[str, str]:
    """A certificate for the Service's name, which signed itself."""
    cert, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    certify(cert, key)
    return str(cert), str(key)


async def test_over_tls_webhooks_have_a_port_of_their_own_and_replicas_know_each_other(
    secrets: Path, certificate: tuple[str, str]
) -> None:
    replicas = [Replica(secrets, Certificate(*certificate, port=0), certificate[0]) for _ in range(2)]
    for one in replicas:
        await one.server.start()
    standby, leader = replicas
    standby.leads, standby.leader = False, leader
    content = body()
    tls = ssl.create_default_context(cafile=certificate[0])
    tls.check_hostname = False
    assert (await standby.post(content, headers(content, at=standby.clock.now()), tls))[0] == 202
    assert leader.hints == ["fraud"]
    async with aiohttp.ClientSession() as session:
        async with session.post(f"http://127.0.0.1:{standby.server.port}{PATH}", data=content) as plain:
            assert plain.status == 404
        async with session.get(f"{standby.url}/metrics", ssl=tls) as metrics:
            assert metrics.status == 404
    for one in replicas:
        await one.server.stop()


async def test_a_renewed_certificate_is_shown_without_a_restart(
    secrets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidegate.intake.certificate.AGAIN", 0.01)
    texts = [_mounted(tmp_path, version) for version in ("v1", "v2")]
    live = tmp_path / "live"
    _swap(live, tmp_path / "v1")
    one = Replica(secrets, Certificate(str(live / "tls.crt"), str(live / "tls.key"), port=0), str(live / "tls.crt"))
    await one.server.start()
    assert await _shown(one) == texts[0]
    _swap(live, tmp_path / "v2")
    end = asyncio.get_running_loop().time() + 60.0
    while await _shown(one) != texts[1]:
        assert asyncio.get_running_loop().time() < end
    await one.server.stop()


def _mounted(directory: Path, version: str) -> str:
    (directory / version).mkdir()
    certify(directory / version / "tls.crt", directory / version / "tls.key")
    return (directory / version / "tls.crt").read_text()


def _swap(live: Path, target: Path) -> None:
    """As the kubelet does: both files at once."""
    fresh = live.with_suffix(".new")
    fresh.symlink_to(target)
    fresh.replace(live)


async def _shown(replica: Replica) -> str:
    return await asyncio.to_thread(ssl.get_server_certificate, ("127.0.0.1", replica.server.tls_port))
