"""Whoever may write one object can nest its free parts as deep as the API server lets him; nobody else feels it."""

import asyncio
import json

import pytest
from tests.integration.loop.look import Look
from tests.integration.loop.test_api_server import RealStage, real

from tidegate.adapters.access import Access
from tidegate.adapters.kube import RESOURCES
from tidegate.core.labels import KIND

__all__ = ["real"]
pytestmark = [pytest.mark.apiserver, pytest.mark.long]
#: Levels: more than Python recurses.
DEEP = 3000


async def made_bottomless(real: RealStage, access: Access, name: str) -> None:
    """Make an object whose request has a body of `DEEP` levels."""
    manifest = real.manifest(gates={"smoke": {}, "request": {"path": "/invocations", "body": {"a": "HERE"}}})
    manifest["metadata"]["name"] = name
    manifest["spec"]["traffic"]["gateway"]["hostnames"] = [f"{name}.example.com"]
    text = json.dumps(manifest).replace('"HERE"', "[" * DEEP + "1" + "]" * DEEP)
    url = access.server + RESOURCES[KIND].path(real.hands.namespace)
    headers = {"Content-Type": "application/json"}
    async with access.session.post(url, data=text, headers=headers) as answer:
        assert answer.status == 201, await answer.text()


async def said(real: RealStage, name: str) -> str:
    """What its condition says once it is called invalid."""
    end = asyncio.get_running_loop().time() + real.LONG
    while True:
        ready = Look(await real.hands.read(KIND, name), None).condition("Ready")
        if ready.get("reason") == "InvalidSpec":
            return str(ready["message"])
        assert asyncio.get_running_loop().time() < end, ready
        await asyncio.sleep(real.PATIENCE)


async def test_an_object_without_a_bottom_is_invalid_and_the_others_go_on(real: RealStage, kube_access: Access) -> None:
    first = await real.serve()
    # A watch tells of it.
    await made_bottomless(real, kube_access, "abyss")
    assert "spec.gates.request.body.a" in await said(real, "abyss")
    second = await real.rolling(25)
    # A list does.
    await real.reborn()
    await real.serves(second)
    assert first != second
    assert not real.traffic.lost
