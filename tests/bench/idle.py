"""A thousand objects that ask for nothing: what the operator writes, keeps in memory and computes meanwhile."""

import json
import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.bench.figures import Figure, Limit
from tests.bench.gateways import SimulatedGateway
from tests.bench.kwok import PLACE, Kwok
from tests.bench.process import Process
from tests.bench.stage import Stage
from tests.bench.wire import Editor
from tests.driver.platform import NAMESPACE, RELEASE, install_operator, listed, wait_for
from tests.e2e.site import COUNTERS

OBJECTS = 1000
MODELS = 10
HOME = "bench-idle"
#: Seconds that are watched, and between two looks at the memory.
WATCHED, EVERY = 60.0, 5.0
#: Seconds without a write after which everything is taken for done.
QUIET = 5.0
MOST_MEMORY, MOST_CPU = 150.0, 1.0
OURS = (
    "/apis/tidegate.dev/v1alpha1/namespaces/{}/modeldeployments",
    "/apis/gateway.networking.k8s.io/v1/namespaces/{}/httproutes",
    "/apis/apps/v1/namespaces/{}/deployments",
    "/apis/apps/v1/namespaces/{}/controllerrevisions",
    "/api/v1/namespaces/{}/services",
    "/api/v1/namespaces/{}/configmaps",
)
#: What the API server is told to count by itself: requests of the operator's account, writes apart from the rest.
WRITES, READS = "bench-writes", "bench-reads"
#: The lease is renewed whether there are objects or not.
LEASES = "bench-leases"
#: The leader is what is measured.
ALONE = "replicas=1"


def measure(stage: Stage) -> list[Figure]:
    """Make the objects, start the operator anew, and watch it for a minute."""
    stage.progress.expect(3)
    editor = Editor(stage.access)
    schemas = [_counted(LEASES, 300, ["*"], groups=["coordination.k8s.io"])]
    schemas += [_counted(WRITES, 400, _WRITING), _counted(READS, 500, ["*"])]
    stage.access.apply(schemas)
    # Making them is not what is measured. Still more hands would only wait for each other: the API server hands out
    # addresses of Services one by one.
    install_operator(stage.access, "workers=8", "resources.requests.cpu=200m", ALONE)
    # It outlives this: without it the node is lost after some seconds, and its thousand pods after five minutes.
    directory = stage.lasting.enter_context(tempfile.TemporaryDirectory())
    stage.lasting.enter_context(Kwok(stage, Path(directory)))
    with stage.progress.step(f"idle_1000: making {OBJECTS} objects"), SimulatedGateway(stage.access, HOME):
        begun = time.time()
        _make(stage, editor)
        _await_ready(editor)
        made = time.time() - begun
        _await_quiet(editor)
    with stage.progress.step("idle_1000: starting the operator anew"):
        process, started, used = _restart(stage, editor)
    with stage.progress.step(f"idle_1000: watching for {WATCHED:g} s"):
        figures = _watch(editor, process)
    editor.close()
    return [
        *figures,
        Figure(name="idle_1000_start", unit="s", samples=[started]),
        Figure(name="idle_1000_start_cpu", unit="s", samples=[used]),
        Figure(name="idle_1000_create", unit="s", samples=[made]),
    ]


_WRITING = ["create", "update", "patch", "delete", "deletecollection"]


def _counted(name: str, precedence: int, verbs: list[str], groups: list[str] | None = None) -> dict[str, Any]:
    """A FlowSchema: requests of the operator's account get a counter of their own, and the priority they had."""
    account = {"namespace": NAMESPACE, "name": RELEASE}
    everything = {
        "verbs": verbs,
        "apiGroups": groups or ["*"],
        "resources": ["*"],
        "namespaces": ["*"],
        "clusterScope": True,
    }
    return {
        "apiVersion": "flowcontrol.apiserver.k8s.io/v1",
        "kind": "FlowSchema",
        "metadata": {"name": name},
        "spec": {
            "priorityLevelConfiguration": {"name": "workload-low"},
            "matchingPrecedence": precedence,
            "distinguisherMethod": {"type": "ByUser"},
            "rules": [
                {
                    "subjects": [{"kind": "ServiceAccount", "serviceAccount": account}],
                    "resourceRules": [everything],
                    "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
                }
            ],
        },
    }


def requests(metrics: str, schema: str) -> int:
    """How many requests of a FlowSchema the API server has let through, by its own `/metrics`."""
    lines = re.findall(r"^apiserver_flowcontrol_dispatched_requests_total\{([^}]*)\} (\S+)$", metrics, re.MULTILINE)
    return int(sum(float(value) for labels, value in lines if f'flow_schema="{schema}"' in labels))


def _make(stage: Stage, editor: Editor) -> None:
    access, mlflow = stage.access, stage.mlflow
    for number in range(MODELS):
        name = f"idle-{number}"
        mlflow.model(name)
        mlflow.alias(name, "champion", mlflow.version(name))
    access.kubectl("create", "namespace", HOME)
    container = {"name": "model", "image": "localhost/tidegate-testserver:dev", "imagePullPolicy": "IfNotPresent"}
    for number in range(OBJECTS):
        editor.create(OURS[0].format(HOME), _manifest(number, container))


def _manifest(number: int, container: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "tidegate.dev/v1alpha1",
        "kind": "ModelDeployment",
        "metadata": {"name": f"idle-{number}", "namespace": HOME},
        "spec": {
            "model": {"name": f"idle-{number % MODELS}", "alias": "champion"},
            "serving": {
                "replicas": 1,
                "runtime": "custom",
                "metrics": COUNTERS,
                "template": {"spec": {**PLACE, "containers": [container]}},
            },
            "traffic": {
                "gateway": {
                    # One that no controller here knows: the benchmark confirms its routes itself.
                    "parentRefs": [{"name": "simulated", "namespace": HOME}],
                    "hostnames": [f"idle-{number}.example.com"],
                }
            },
            "guards": {"errorRate": {"max": "1%"}},
        },
    }


def _await_ready(editor: Editor) -> None:
    def missing() -> list[dict[str, Any]]:
        items = editor.get(OURS[0].format(HOME))["items"]
        return [item for item in items if not _is_ready(item)]

    def tell() -> str:
        left = missing()
        return f"{len(left)} of {OBJECTS} are not ready, such as {json.dumps(left[:1], indent=1)[:3000]}"

    wait_for(lambda: not missing(), seconds=1200, what=f"{OBJECTS} objects are ready", every=4.0, tell=tell)


def _is_ready(item: dict[str, Any]) -> bool:
    status = item.get("status") or {}
    return any(c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions", []))


def _await_quiet(editor: Editor) -> None:
    """Wait until the operator has written nothing for a while."""
    last, since = -1, time.monotonic()

    def quiet() -> bool:
        nonlocal last, since
        count = requests(editor.text("/metrics"), WRITES)
        if count != last:
            last, since = count, time.monotonic()
        return time.monotonic() - since > QUIET

    wait_for(
        quiet, seconds=180, what="the operator has written all it had to", every=1.0, tell=lambda: f"{last} writes"
    )


def _restart(stage: Stage, editor: Editor) -> tuple[Process, float, float]:
    """A new pod with the chart's own settings.

    Returns:
        Its process, the seconds from its start to the end of its last pass, and the CPU seconds used until then.
    """
    install_operator(stage.access, "registry.interval=30", ALONE)
    pods = [pod for pod in listed(stage.access, "pods", NAMESPACE) if "deletionTimestamp" not in pod["metadata"]]
    process = Process.of_pod(pods[0]["metadata"]["uid"])
    path = f"/api/v1/namespaces/{NAMESPACE}/pods/{pods[0]['metadata']['name']}:8080/proxy/metrics"
    passes, at, used = -1, 0.0, 0.0

    def done() -> bool:
        nonlocal passes, at, used
        text = editor.text(path)
        found = re.findall(r"^tidegate_reconciles_total\{[^}]*\} (\S+)$", text, re.MULTILINE)
        count = int(sum(map(float, found)))
        if count != passes:
            passes, at, used = count, process.age(), process.cpu()
        return passes >= OBJECTS and process.age() - at > QUIET

    wait_for(done, seconds=180, what="the operator has looked at everything", tell=lambda: f"{passes} passes")
    return process, at, used


@contextmanager
def _unchanged(editor: Editor) -> Iterator[list[str]]:
    """The names of those of our objects that were written, made or removed in the block; filled when it ends."""
    changed: list[str] = []
    before = _versions(editor)
    if len(before) < OBJECTS * (len(OURS) - 1):
        raise AssertionError(f"only {len(before)} objects for {OBJECTS} ModelDeployments: something is missing")
    yield changed
    after = _versions(editor)
    changed += sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))


def _versions(editor: Editor) -> dict[str, str]:
    paths = [path.format(HOME) for path in OURS]
    items = ((path, item["metadata"]) for path in paths for item in editor.get(path)["items"])
    return {f"{path}/{meta['name']}": f"{meta['uid']}/{meta['resourceVersion']}" for path, meta in items}


def _watch(editor: Editor, process: Process) -> list[Figure]:
    memory: list[float] = []
    with _unchanged(editor) as changed:
        before = editor.text("/metrics")
        begun, used = time.monotonic(), process.cpu()
        while time.monotonic() < begun + WATCHED:
            time.sleep(EVERY)
            memory.append(process.resident())
        share = 100 * (process.cpu() - used) / (time.monotonic() - begun)
        after = editor.text("/metrics")
    writes = requests(after, WRITES) - requests(before, WRITES)
    reads = requests(after, READS) - requests(before, READS)
    if changed:
        raise AssertionError(f"{len(changed)} objects changed while nobody asked for it, such as {changed[:5]}")
    none = Limit(value="max", most=0)
    return [
        Figure(name="idle_1000_writes", unit="a minute", samples=[writes], limits=(none,)),
        Figure(name="idle_1000_reads", unit="a minute", samples=[reads]),
        Figure(name="idle_1000_rss", unit="MiB", samples=memory, limits=(Limit(value="max", most=MOST_MEMORY),)),
        Figure(name="idle_1000_cpu", unit="% of a core", samples=[share], limits=(Limit(value="max", most=MOST_CPU),)),
    ]
