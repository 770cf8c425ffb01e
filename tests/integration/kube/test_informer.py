"""kopf on our session: a token that is refused for a while ends nothing."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.cluster.light import LightCluster
from tests.contract.cluster_cases import config_map, model_deployment

from tidegate.adapters.access import Access, find_identity
from tidegate.adapters.kube import KubeCluster
from tidegate.core.labels import MANAGED_BY, MANAGER
from tidegate.intake.handlers import WATCHED, Intake
from tidegate.intake.informer import run_informer

pytestmark = pytest.mark.apiserver


async def test_the_informer_outlives_a_refused_token_and_closes_nobody_elses_session(
    apiserver: LightCluster, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    apiserver.kubectl("create", "-f", "-", text=json.dumps(model_deployment(namespace)))
    monkeypatch.setenv("KUBECONFIG", str(apiserver.kubeconfig))
    identity, before = await find_identity(), sockets()
    refusals = asyncio.Queue[None]()

    async def changing() -> Mapping[str, str]:
        # The first requests go out with a token that nobody knows.
        if refusals.qsize() < 3:
            refusals.put_nowait(None)
            return {"Authorization": "Bearer nobody"}
        return await identity.headers()

    access, stop = Access(replace(identity, headers=changing)), asyncio.Event()
    seen, listed = asyncio.Queue[str](), asyncio.Queue[str]()
    cluster = KubeCluster(access)

    def look(kind: str, body: Mapping[str, Any]) -> None:
        seen.put_nowait(kind)

    async def take(kind: str, inside: str | None) -> str | None:
        listed.put_nowait(kind)
        return [page.version async for page in cluster.pages(kind, inside)][-1]

    intake = Intake(seen=look, gone=look, listed=take)
    informer = asyncio.create_task(run_informer(intake, access, namespaces=[namespace], stop=stop))
    for _ in WATCHED:
        await asyncio.wait_for(listed.get(), 60)
    assert refusals.qsize() == 3
    assert seen.empty(), "lists are taken in by whoever is asked for them"
    ours = config_map(namespace, a="1")
    ours["metadata"]["labels"] = {MANAGED_BY: MANAGER}
    made = await cluster.apply(ours)
    assert made["data"] == {"a": "1"}
    assert await asyncio.wait_for(seen.get(), 60) == "ConfigMap"

    assert not access.session.closed

    stop.set()
    await asyncio.wait_for(informer, 30)
    assert not access.session.closed
    await access.close()
    # The watches that kopf closed say goodbye to the API server by and by.
    for _ in range(1000):
        if sockets() <= before:
            break
        await asyncio.sleep(0.01)
    assert sockets() <= before


def sockets() -> int:
    """How many sockets this process has open."""
    return sum("socket:" in _target(entry) for entry in Path("/proc/self/fd").iterdir())


def _target(entry: Path) -> str:
    try:
        return str(entry.readlink())
    except OSError:
        # Closed since it was listed: the listing's own descriptor.
        return ""
