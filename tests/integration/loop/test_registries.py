"""Several registries at once, each declared by a ModelRegistry: one poll for equal logins, none waits for another."""

import asyncio
import base64
from collections.abc import Callable
from typing import Any

import pytest
from tests.fakes.registry import FakeRegistry
from tests.integration.loop.stage import MODEL, FakeStage

from tidegate.core.labels import API_VERSION, REGISTRY_KIND
from tidegate.core.reasons import Reason
from tidegate.ports import Login, Manifest


class Registrar:
    """Makes registries in memory: one server for each URL, one client for each login that was opened."""

    def __init__(self) -> None:
        self.servers: dict[str, FakeRegistry] = {}
        self.opened: list[Login] = []

    def server(self, uri: str) -> FakeRegistry:
        return self.servers.setdefault(uri, FakeRegistry(uri))

    def __call__(self, login: Login) -> FakeRegistry:
        self.opened.append(login)
        return self.server(login.uri)

    def logins(self, uri: str) -> list[Login]:
        """The ways in that were tried, without those that only ask for a name."""
        return [login for login in self.opened if login.uri == uri and (login.password or login.token)]


A, B = "http://a.test", "http://b.test"


@pytest.fixture
def registrar(stage: FakeStage) -> Registrar:
    made = Registrar()
    stage.open_registry = made
    stage.open_writer = lambda login: made.server(login.uri).writer
    for uri in (A, B):
        made.server(uri).register(MODEL)
        made.server(uri).add_version(MODEL)
        made.server(uri).set_alias(MODEL, "champion", "1")
    return made


def registry(name: str, url: str, **spec: Any) -> Manifest:
    meta = {"name": name, "namespace": "ml"}
    wanted = {"url": url, "pollInterval": "5s", **spec}
    return {"apiVersion": API_VERSION, "kind": REGISTRY_KIND, "metadata": meta, "spec": wanted}


def secret(name: str, **words: str) -> Manifest:
    data = {key: base64.b64encode(word.encode()).decode() for key, word in words.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": "ml"}, "data": data}


async def ready(
    stage: FakeStage, name: str, holds: Callable[[dict[str, Any]], bool], seconds: float = 120.0
) -> dict[str, Any]:
    """The condition Ready of a ModelRegistry, once something holds of it."""
    end = asyncio.get_running_loop().time() + seconds
    while True:
        status = (stage.memory.read(REGISTRY_KIND, "ml", name) or {}).get("status") or {}
        found = next((c for c in status.get("conditions", []) if c["type"] == "Ready"), {})
        if found and holds(found):
            return found
        assert asyncio.get_running_loop().time() < end, status
        await asyncio.sleep(0.1)


def model(name: str | None) -> dict[str, Any]:
    return {"name": MODEL, "alias": "champion", **({"registry": {"name": name}} if name else {})}


async def test_a_registry_of_the_namespace_is_asked_and_its_pods_read_it(
    stage: FakeStage, registrar: Registrar
) -> None:
    stage.memory.put(secret("login", username="ann", password="s3cret"))
    stage.memory.put(registry("team", A, secretRef={"name": "login"}, workspace="blue"))
    await stage.apply(stage.manifest(model=model("team")))
    stage.start()
    look = await stage.until(lambda look: look.ready, "it serves")
    assert look.version == "1"
    assert registrar.logins(A) == [Login(uri=A, username="ann", password="s3cret", workspace="blue", declared=True)]
    assert (await ready(stage, "team", lambda c: c["status"] == "True"))["reason"] == Reason.REGISTRY_ANSWERS
    (deployment,) = stage.memory.all("Deployment")
    (reader,) = deployment["spec"]["template"]["spec"]["initContainers"]
    variables = {entry["name"]: entry for entry in reader["env"]}
    assert variables["MLFLOW_TRACKING_URI"]["value"] == A
    assert variables["MLFLOW_WORKSPACE"]["value"] == "blue"
    assert variables["MLFLOW_TRACKING_PASSWORD"]["valueFrom"]["secretKeyRef"]["name"] == "login"
    assert "s3cret" not in str(stage.memory.all("Deployment"))
    assert stage.registry.reads == []


async def test_a_registry_that_is_not_there_is_said_with_its_field_and_what_serves_goes_on(
    stage: FakeStage, registrar: Registrar
) -> None:
    first = await stage.serve()
    await stage.respec(model=model("team"))
    look = await stage.until(lambda look: look.condition("ModelResolved").get("status") == "False", "it is said")
    assert look.condition("ModelResolved")["reason"] == Reason.REGISTRY_NOT_FOUND
    assert look.condition("ModelResolved")["message"].startswith("spec.model.registry.name: namespace ml has no")
    assert look.weights == {first: 100}
    assert look.reason("Available") is not None
    stage.memory.put(registry("team", B))
    await stage.until(lambda look: look.reason("ModelResolved") == Reason.RESOLVED, "it is found")
    await stage.until(lambda look: look.ready, "the version of the other registry serves")
    assert registrar.server(B).reads


async def test_a_registry_that_hangs_delays_nobody(stage: FakeStage, registrar: Registrar) -> None:
    registrar.server(A).hanging = True
    stage.memory.put(registry("slow", A))
    stage.memory.put(registry("quick", B))
    await stage.apply(stage.manifest(model=model("quick")))
    stage.start()
    await stage.until(lambda look: look.ready, "it serves")
    registrar.server(B).add_version(MODEL)
    registrar.server(B).set_alias(MODEL, "champion", "2")
    await stage.until(lambda look: look.rollout.get("version") == "2", "the new version is seen", seconds=6.0)
    registrar.server(A).release()


async def test_equal_logins_share_a_poll_and_other_credentials_have_their_own(
    stage: FakeStage, registrar: Registrar
) -> None:
    stage.memory.put(secret("ann", username="ann", password="one"))
    stage.memory.put(secret("bob", token="two"))
    for name, login in (("first", "ann"), ("second", "ann"), ("third", "bob")):
        stage.memory.put(registry(name, A, secretRef={"name": login}))
    stage.start()
    for name in ("first", "second", "third"):
        await ready(stage, name, lambda c: c["status"] == "True")
    assert len(registrar.logins(A)) == 2
    assert {login.username for login in registrar.logins(A)} == {"ann", None}


async def test_a_changed_secret_is_taken_up_without_a_restart(stage: FakeStage, registrar: Registrar) -> None:
    stage.memory.put(secret("login", username="ann", password="old"))
    stage.memory.put(registry("team", A, secretRef={"name": "login"}))
    stage.start()
    await ready(stage, "team", lambda c: c["status"] == "True")
    registrar.server(A).fail(Reason.REGISTRY_UNAUTHORIZED, "not accepted")
    assert (await ready(stage, "team", lambda c: c["status"] == "False"))["reason"] == Reason.REGISTRY_UNAUTHORIZED
    stage.memory.put(secret("login", username="ann", password="new"))
    registrar.server(A).fail(None)
    await ready(stage, "team", lambda c: c["status"] == "True", seconds=15.0)
    end = asyncio.get_running_loop().time() + 65.0
    while registrar.logins(A)[-1].password != "new":
        assert asyncio.get_running_loop().time() < end
        await asyncio.sleep(0.1)


async def test_a_changed_url_is_another_registry(stage: FakeStage, registrar: Registrar) -> None:
    stage.memory.put(registry("team", A))
    await stage.apply(stage.manifest(model=model("team")))
    stage.start()
    before = await stage.until(lambda look: look.ready, "it serves")
    stage.memory.edit(REGISTRY_KIND, "ml", "team", lambda body: body["spec"].update(url=B))
    after = await stage.until(lambda look: look.rollout.get("version") == "1", "it is another revision", seconds=10.0)
    assert after.rollout["revision"] != before.status["stable"]["revision"]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "namespace ml has no Secret login: create it"),
        ({"other": "x"}, "Secret login has neither username and password nor token"),
        ({"username": "ann"}, "Secret login has neither username and password nor token"),
    ],
)
async def test_what_is_wrong_with_a_secret_is_said_on_both_objects(
    stage: FakeStage, registrar: Registrar, given: dict[str, str], words: str
) -> None:
    if given:
        stage.memory.put(secret("login", **given))
    stage.memory.put(registry("team", A, secretRef={"name": "login"}))
    await stage.apply(stage.manifest(model=model("team")))
    stage.start()
    said = await ready(stage, "team", lambda c: c["status"] == "False")
    assert (said["reason"], words in said["message"]) == (Reason.REGISTRY_CREDENTIALS_MISSING, True)
    look = await stage.until(lambda look: look.condition("ModelResolved").get("status") == "False", "it is said")
    assert words in look.condition("ModelResolved")["message"]
    stage.memory.put(secret("login", token="t"))
    await stage.until(lambda look: look.ready, "it serves once the Secret is right")


async def test_a_registry_that_goes_is_forgotten_and_what_serves_goes_on(
    stage: FakeStage, registrar: Registrar
) -> None:
    stage.memory.put(registry("team", A))
    await stage.apply(stage.manifest(model=model("team")))
    stage.start()
    await stage.until(lambda look: look.ready, "it serves")
    stage.memory.remove(REGISTRY_KIND, "ml", "team")
    look = await stage.until(lambda look: look.condition("ModelResolved").get("status") == "False", "it is said")
    assert look.condition("ModelResolved")["reason"] == Reason.REGISTRY_NOT_FOUND
    assert look.weights == {"1": 100}


async def test_an_idle_registry_costs_no_write(stage: FakeStage, registrar: Registrar) -> None:
    stage.memory.put(registry("team", A))
    stage.start()
    await ready(stage, "team", lambda c: c["status"] == "True")
    before = len(stage.memory.writes)
    checks = registrar.server(A).checks
    await asyncio.sleep(300.0)
    assert [write for write in stage.memory.writes[before:] if write.kind != "Lease"] == []
    assert registrar.server(A).checks - checks >= 50
