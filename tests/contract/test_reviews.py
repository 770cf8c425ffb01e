"""Whose token it is and what he may: the fake and a real API server say alike."""

import json

import pytest
from tests.cluster.light import LightCluster
from tests.fakes.reviews import FakeReviews

from tidegate.adapters.access import Access
from tidegate.adapters.reviews import KubeReviews
from tidegate.errors import Unreachable
from tidegate.ports import Reviews


def _token(apiserver: LightCluster, namespace: str, *options: str) -> str:
    return apiserver.kubectl("create", "token", "alertmanager", "-n", namespace, *options).strip()


@pytest.fixture
def token(apiserver: LightCluster, namespace: str) -> str:
    """A token of the ServiceAccount `alertmanager`, which may revert `fraud` and nothing else."""
    apiserver.kubectl("create", "serviceaccount", "alertmanager", "-n", namespace)
    rule = {
        "apiGroups": ["tidegate.dev"],
        "resources": ["modeldeployments/revert"],
        "resourceNames": ["fraud"],
        "verbs": ["create"],
    }
    meta = {"name": "revert", "namespace": namespace}
    version = "rbac.authorization.k8s.io/v1"
    role = {"apiVersion": version, "kind": "Role", "metadata": meta, "rules": [rule]}
    apiserver.kubectl("apply", "-f", "-", text=json.dumps(role))
    apiserver.kubectl(
        "create",
        "rolebinding",
        "revert",
        "--role=revert",
        f"--serviceaccount={namespace}:alertmanager",
        "-n",
        namespace,
    )
    return _token(apiserver, namespace)


@pytest.fixture(params=["fake", "API server"])
def reviews(request: pytest.FixtureRequest, namespace: str, token: str) -> Reviews:
    if request.param == "API server":
        return KubeReviews(request.getfixturevalue("kube_access"))
    fake = FakeReviews()
    name = f"system:serviceaccount:{namespace}:alertmanager"
    fake.tokens[token] = name
    fake.may.add((name, namespace, "fraud"))
    return fake


async def test_a_service_account_is_known_and_may_what_its_roles_say(
    reviews: Reviews, namespace: str, token: str
) -> None:
    caller = await reviews.identify(token)

    assert caller is not None
    assert caller.name == f"system:serviceaccount:{namespace}:alertmanager"
    assert await reviews.may_revert(caller, namespace, "fraud")
    assert not await reviews.may_revert(caller, namespace, "other")
    assert not await reviews.may_revert(caller, "default", "fraud")


@pytest.mark.parametrize("nonsense", ["", "nonsense", "x" * 20_000])
async def test_a_token_of_nobody_is_nobodys(reviews: Reviews, nonsense: str) -> None:
    assert await reviews.identify(nonsense) is None


async def test_a_token_for_somebody_else_is_nobodys_where_an_audience_is_asked_for(
    apiserver: LightCluster, kube_access: Access, namespace: str, token: str
) -> None:
    reviews = KubeReviews(kube_access, audience="tidegate")

    assert await reviews.identify(token) is None
    assert await reviews.identify(_token(apiserver, namespace, "--audience=tidegate")) is not None
    assert await KubeReviews(kube_access).identify(_token(apiserver, namespace, "--audience=tidegate")) is None


async def test_an_answer_is_believed_for_a_while_and_then_asked_for_anew(
    apiserver: LightCluster, kube_access: Access, namespace: str, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    reviews = KubeReviews(kube_access, total=1.0)
    caller = await reviews.identify(token)
    assert caller is not None
    assert await reviews.may_revert(caller, namespace, "fraud")
    with apiserver.paused():
        assert await reviews.identify(token) == caller
        assert await reviews.may_revert(caller, namespace, "fraud")
        with pytest.raises(Unreachable, match="TokenReview"):
            await reviews.identify(f"{token}x")
    monkeypatch.setattr("tidegate.adapters.reviews.BELIEVED", -1.0)
    impatient = KubeReviews(kube_access)
    assert await impatient.may_revert(caller, namespace, "fraud")
    apiserver.kubectl("delete", "rolebinding", "revert", "-n", namespace)
    assert not await impatient.may_revert(caller, namespace, "fraud")
