"""ModelRegistries on a real API server: what it refuses, and what Tidegate reads and writes there."""

import asyncio
import json
from typing import Any

import pytest
from tests.cluster.errors import StartError
from tests.cluster.light import LightCluster
from tests.fakes.registry import FakeRegistry
from tests.fixtures.until import until
from tests.unit.api.test_modelregistry import WRONG

from tidegate.adapters.access import Access
from tidegate.adapters.clock import SteadyClock
from tidegate.adapters.kube import KubeCluster
from tidegate.api.retention import render_retention
from tidegate.core.labels import API_VERSION, REGISTRY_KIND
from tidegate.core.reasons import Reason
from tidegate.core.retention import Deleted, Due, Keep, Retained
from tidegate.loop.registries import Registries
from tidegate.loop.registry import RegistryPoll
from tidegate.loop.world import World
from tidegate.ports import Login

pytestmark = pytest.mark.apiserver
URL = "https://mlflow.test:5000"
#: A look at archived versions that has something to tell of everything.
FOUND = Retained(
    dry_run=False,
    due=2,
    first=(Due(model="fraud", number="3", changed=1_760_000_000.5),),
    kept=tuple((keep, 1, f"version 4 of fraud: {keep}") for keep in Keep),
    deleted=(Deleted(model="fraud", number="1", at=1_760_000_100.0),),
    fault="the registry does not answer",
)


def manifest(namespace: str, **spec: Any) -> dict[str, Any]:
    meta = {"name": "team", "namespace": namespace}
    return {"apiVersion": API_VERSION, "kind": REGISTRY_KIND, "metadata": meta, "spec": {"url": URL, **spec}}


def test_the_api_server_refuses_what_the_operator_does(apiserver: LightCluster, namespace: str) -> None:
    for name, (spec, field, words) in WRONG.items():
        with pytest.raises(StartError, match=r"invalid|unknown field|strict decoding") as raised:
            apiserver.kubectl("create", "-f", "-", text=json.dumps(manifest(namespace, **spec)))
        assert field.rpartition(".")[2] in str(raised.value), name
        assert words


async def test_a_secret_is_read_by_its_name_and_the_answer_stands_in_status(
    apiserver: LightCluster, kube_access: Access, namespace: str
) -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/basic-auth"}
    named = {"metadata": {"name": "login", "namespace": namespace}, "stringData": {"username": "ann", "password": "pw"}}
    apiserver.kubectl("create", "-f", "-", text=json.dumps(secret | named))
    asked = manifest(namespace, secretRef={"name": "login"}, retention={})
    apiserver.kubectl("create", "-f", "-", text=json.dumps(asked))
    cluster, world, clock, fake = KubeCluster(kube_access), World(), SteadyClock(), FakeRegistry()
    opened: list[Login] = []

    def open_registry(login: Login) -> FakeRegistry:
        opened.append(login)
        return fake

    registries = Registries(
        own=RegistryPoll(fake, clock, 3600.0, on_change=list),
        own_writer=fake.writer,
        open=open_registry,
        open_writer=lambda _: fake.writer,
        cluster=cluster,
        world=world,
        clock=clock,
        on_change=list,
    )
    (before,) = await cluster.list(REGISTRY_KIND, namespace)
    assert before["status"] == {"observedGeneration": -1}
    world.put(before)
    work = asyncio.create_task(registries.run())

    def conditions() -> dict[str, str]:
        body = world.get(REGISTRY_KIND, f"{namespace}/team") or {}
        return {c["type"]: c["status"] for c in body.get("status", {}).get("conditions", [])}

    await until(lambda: conditions().get("Ready") == "True", 60)
    assert conditions() == {"Ready": "True", "Reconciling": "False", "Stalled": "False"}
    assert Login(uri=URL, username="ann", password="pw", declared=True) in opened
    # As helm, Flux and people wait.
    apiserver.kubectl("wait", "-n", namespace, "--for=condition=Ready", "--timeout=10s", "mreg/team")
    shown = apiserver.kubectl("get", "-n", namespace, "mreg", "team", "--no-headers")
    assert shown.split()[:4] == ["team", URL, "True", Reason.REGISTRY_ANSWERS]
    assert "pw" not in apiserver.kubectl("get", "-n", namespace, "mreg", "team", "-o", "json")
    registries.retained(f"{namespace}/team", FOUND)
    await until(lambda: "retention" in (world.get(REGISTRY_KIND, f"{namespace}/team") or {})["status"], 60)
    told = json.loads(apiserver.kubectl("get", "-n", namespace, "mreg", "team", "-o", "json"))
    assert told["spec"]["retention"] == {"days": 90, "dryRun": True}
    # The API server has dropped nothing that its schema does not know.
    part = render_retention(FOUND, None).model_dump(mode="json", by_alias=True, exclude_none=True)
    assert told["status"]["retention"] == part
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)
