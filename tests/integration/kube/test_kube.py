"""The adapter before a real API server: identities, refusals, silence."""

import asyncio
import json
import time
from pathlib import Path

import pytest
from tests.cluster.light import LightCluster
from tests.contract.cluster_cases import config_map

from tidegate.adapters.access import Access, find_identity
from tidegate.adapters.kube import KubeCluster
from tidegate.errors import Refused, Unreachable

pytestmark = pytest.mark.apiserver


async def test_a_kubeconfig_is_found_by_its_variable(
    apiserver: LightCluster, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(apiserver.kubeconfig))
    access = Access(await find_identity())
    try:
        assert await KubeCluster(access).get("ConfigMap", namespace, "nothing") is None
    finally:
        await access.close()
    assert access.server == apiserver.server


async def test_who_may_not_is_refused_in_the_api_servers_words(
    apiserver: LightCluster, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    apiserver.kubectl("create", "serviceaccount", "nobody", "-n", namespace)
    token = apiserver.kubectl("create", "token", "nobody", "-n", namespace).strip()
    nobody = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": "c", "cluster": {"server": apiserver.server, "certificate-authority": str(apiserver.ca_file)}}
        ],
        "users": [{"name": "u", "user": {"token": token}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    (tmp_path / "config").write_text(json.dumps(nobody))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    access = Access(await find_identity())
    try:
        with pytest.raises(Refused, match=r"system:serviceaccount:.*:nobody"):
            await KubeCluster(access).apply(config_map(namespace, a="1"))
    finally:
        await access.close()


async def test_an_api_server_that_does_not_answer_is_unreachable_within_the_limit(
    apiserver: LightCluster, kube_access: Access, namespace: str
) -> None:
    cluster = KubeCluster(kube_access, connect=0.3, total=0.6)
    await cluster.apply(config_map(namespace, a="1"))
    with apiserver.paused():
        started = time.monotonic()
        with pytest.raises(Unreachable, match="no answer in time"):
            await cluster.apply(config_map(namespace, a="2"))
        assert time.monotonic() - started < 3.0
    after = await KubeCluster(kube_access).apply(config_map(namespace, a="3"))
    assert after["data"] == {"a": "3"}


async def test_a_hundred_applies_at_once_go_through_one_pool(kube_access: Access, namespace: str) -> None:
    cluster = KubeCluster(kube_access)
    made = await asyncio.gather(*(cluster.apply(config_map(namespace, f"box-{n}", a=str(n))) for n in range(100)))
    assert sorted(int(body["data"]["a"]) for body in made) == list(range(100))
