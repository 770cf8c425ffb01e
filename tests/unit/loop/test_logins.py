"""The way into a registry: what Secrets and certificates hold, and what is said where they don't."""

import base64
from typing import Any

import pytest
from tests.fakes.cluster import FakeCluster

from tidegate.core.modelregistry import KeyOf, RegistryPlan
from tidegate.core.reasons import Reason
from tidegate.core.values import ObjectRef, Unavailable
from tidegate.errors import ClusterError, Refused, Unreachable
from tidegate.loop.logins import Logins
from tidegate.ports import Login, Manifest

PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


class Cluster(FakeCluster):
    """An API server that may refuse to show something, or be away."""

    def __init__(self) -> None:
        super().__init__()
        self.error: ClusterError | None = None

    async def get(self, kind: str, namespace: str, name: str) -> Manifest | None:
        if self.error is not None:
            raise self.error
        return await super().get(kind, namespace, name)


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


def plan(**fields: Any) -> RegistryPlan:
    ref = ObjectRef(namespace="ml", name="team", uid="u")
    base: dict[str, Any] = {"secret": "login", "ca": None, "workspace": None, "interval": 30.0}
    return RegistryPlan(ref=ref, generation=1, url="https://mlflow.test", **{**base, **fields})


def keep(cluster: Cluster, **words: bytes) -> None:
    data = {key: base64.b64encode(word).decode() for key, word in words.items()}
    meta = {"name": "login", "namespace": "ml"}
    cluster.put({"apiVersion": "v1", "kind": "Secret", "metadata": meta, "data": data})


async def said(cluster: Cluster, **fields: Any) -> str:
    read = await Logins(cluster).read(plan(**fields))
    assert isinstance(read, Unavailable), read
    assert read.reason == Reason.REGISTRY_CREDENTIALS_MISSING
    return read.message


@pytest.mark.parametrize(
    ("words", "login"),
    [
        ({"username": b"ann", "password": b"pw"}, {"username": "ann", "password": "pw"}),
        ({"token": b"t0k3n"}, {"token": "t0k3n"}),
        (
            {"MLFLOW_TRACKING_USERNAME": b"ann", "MLFLOW_TRACKING_PASSWORD": b"pw"},
            {"username": "ann", "password": "pw"},
        ),
        ({"MLFLOW_TRACKING_TOKEN": b"t"}, {"token": "t"}),
        ({"token": b"with-a-line-break\n"}, {"token": "with-a-line-break"}),
        ({"token": b"t", "other": b"\xff\xfe"}, {"token": "t"}),
    ],
)
async def test_a_login_is_in_the_keys_of_kubernetes_or_of_mlflow(
    cluster: Cluster, words: dict[str, bytes], login: dict[str, str]
) -> None:
    keep(cluster, **words)
    read = await Logins(cluster).read(plan())
    assert read == Login(uri="https://mlflow.test", declared=True, **login)
    assert "pw" not in repr(read)
    assert "t0k3n" not in repr(read)


async def test_without_a_secret_there_is_no_login(cluster: Cluster) -> None:
    read = await Logins(cluster).read(plan(secret=None, workspace="blue"))
    assert read == Login(uri="https://mlflow.test", workspace="blue", declared=True)


async def test_a_secret_that_may_not_be_read_is_said_with_the_way_out(cluster: Cluster) -> None:
    cluster.error = Refused("forbidden")
    assert "the operator may not read Secret login of namespace ml: list it in registrySecrets" in await said(cluster)


async def test_an_api_server_that_is_away_says_nothing_of_a_secret(cluster: Cluster) -> None:
    cluster.error = Unreachable("away")
    with pytest.raises(Unreachable):
        await Logins(cluster).read(plan())


async def test_certificates_are_read_from_either_kind(cluster: Cluster) -> None:
    meta = {"name": "mlflow-ca", "namespace": "ml"}
    cluster.put({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"ca.crt": PEM}})
    ca = KeyOf(kind="ConfigMap", name="mlflow-ca", key="ca.crt")
    read = await Logins(cluster).read(plan(secret=None, ca=ca))
    assert isinstance(read, Login)
    assert read.ca == PEM
    keep(cluster, **{"root.pem": PEM.encode()})
    read = await Logins(cluster).read(plan(secret=None, ca=KeyOf(kind="Secret", name="login", key="root.pem")))
    assert isinstance(read, Login)
    assert read.ca == PEM.rstrip()


async def test_what_holds_no_certificate_is_said(cluster: Cluster) -> None:
    meta = {"name": "mlflow-ca", "namespace": "ml"}
    cluster.put(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"other": PEM, "ca.crt": "nothing"}}
    )
    for key in ("ca.crt", "gone.crt"):
        words = await said(cluster, secret=None, ca=KeyOf(kind="ConfigMap", name="mlflow-ca", key=key))
        assert words == f"spec.ca: ConfigMap mlflow-ca has no certificate (PEM) in the key {key!r}: add it"
    gone = await said(cluster, secret=None, ca=KeyOf(kind="ConfigMap", name="gone", key="ca.crt"))
    assert gone == "spec.ca: namespace ml has no ConfigMap gone: create it, or correct the name"
