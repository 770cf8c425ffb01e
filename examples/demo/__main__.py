"""`make demo`: a cluster, MLflow, the operator, traffic, and four moves of an alias."""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.cluster.access import Access
from tests.cluster.errors import ClusterError
from tests.cluster.existing import is_named, opened
from tests.cluster.progress import Progress
from tests.driver.platform import NAMESPACE as OPERATOR_NAMESPACE
from tests.driver.platform import ROOT, install_mlflow, install_operator, remove_operator
from tests.driver.registry import NAMESPACE as REGISTRY_NAMESPACE
from tests.driver.registry import Mlflow, profile
from tests.driver.traffic import Traffic

from examples.demo.story import Teller, Told
from examples.demo.view import View
from examples.demo.watch import Watch

HERE = Path(__file__).parent
NAMESPACE, NAME, HOST, ALIAS = "demo", "breast-cancer", "breast-cancer.example.com", "champion"
RATE = 50.0  # requests a second
IMAGES = ("tidegate-operator", "tidegate-runtime")
#: (what it is, what has to come of it, what the reason has to name)
STORIES = (
    ("version 1: the first one", "promoted", ""),
    ("version 2: better regularised", "promoted", ""),
    ("version 3: raises on some inputs", "reverted", "error"),
    ("version 4: slow", "reverted", "slower than"),
)
REPORT = ROOT / "build" / "demo.json"


def furnish(access: Access, view: View, bodies: Path) -> Mlflow:
    """MLflow with four versions, the operator, and the object without a version to serve yet."""
    kept = profile(os.environ)
    view.say(f"-- starting MLflow ({kept})")
    mlflow = install_mlflow(access, kept=kept)
    view.say("-- training four versions on scikit-learn's breast cancer data and registering them")
    command = access.command(sys.executable, "-m", "examples.demo.models", "--name", NAME, "--bodies", str(bodies))
    environment = {**access.environment(), "MLFLOW_TRACKING_URI": mlflow.url, "MLFLOW_DISABLE_TELEMETRY": "true"}
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as training:
        view.say("-- installing Tidegate with its chart meanwhile")
        # On somebody's own cluster Tidegate may be there, and be set as they want it.
        install_operator(access, keep=True)
        access.kubectl("create", "namespace", NAMESPACE)
        _, said = training.communicate()
    if training.returncode != 0:
        raise ClusterError(f"the models could not be registered: {said.strip()[-2000:]}")
    return mlflow


def manifest(access: Access) -> str:
    """The object of `modeldeployment.yaml`, at the gateway that this cluster has."""
    text = (HERE / "modeldeployment.yaml").read_text(encoding="utf-8")
    return text.replace("name: public", f"name: {access.gateway_name}").replace(
        "namespace: gateways", f"namespace: {access.gateway_namespace}"
    )


def tell(access: Access, mlflow: Mlflow, view: View, bodies: Path) -> list[Told]:
    """All stories, one after another, stopping at the first that goes wrong."""
    told: list[Told] = []
    since = mlflow.alias(NAME, ALIAS, "1")
    view.say("-- kubectl apply -f examples/demo/modeldeployment.yaml")
    access.kubectl("apply", "-f", "-", text=manifest(access))
    watch = Watch(access, NAMESPACE, NAME)
    watch.start()
    view.title(f"{STORIES[0][0]} (alias {ALIAS} -> 1)")
    if (
        watch.wait(lambda s: s.status.get("version") == "1", seconds=180, beat=lambda: view.show(watch.last, ()))
        is None
    ):
        raise ClusterError(f"version 1 did not come up: {json.dumps(watch.last.status, indent=1)[:3000]}")
    with Traffic(access, HOST, rate=RATE, bodies=bodies) as traffic:
        teller = Teller(watch, traffic, view)
        for number, (name, outcome, _) in enumerate(STORIES, start=1):
            if number > 1:
                view.title(f"{name} (alias {ALIAS} -> {number})")
                since = mlflow.alias(NAME, ALIAS, str(number))
            told.append(teller.tell(name, str(number), since, seconds=240))
            view.say(f"   => {told[-1].outcome} after {told[-1].seconds:g} s. {told[-1].reason}")
            if told[-1].outcome != outcome:
                break
    watch.stop()
    return told


def namespaces(access: Access) -> set[str]:
    """The namespaces that there are."""
    return set(access.kubectl("get", "namespaces", "-o", "name").replace("namespace/", "").split())


def tidy(access: Access, view: View, there: set[str]) -> None:
    """Leave somebody's own cluster as it was: what was `there` before the demo stays."""
    view.say("-- removing what the demo brought")
    access.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout=60s")
    if OPERATOR_NAMESPACE not in there:
        remove_operator(access)
    if REGISTRY_NAMESPACE not in there:
        access.kubectl("delete", "namespace", REGISTRY_NAMESPACE, "--ignore-not-found", "--wait=false")


def went_well(told: list[Told]) -> list[str]:
    """What is not as it has to be; empty if the story really went that way."""
    wrong = [f"only {len(told)} of {len(STORIES)} stories were told"] if len(told) < len(STORIES) else []
    for story, (name, outcome, word) in zip(told, STORIES, strict=False):
        if story.outcome != outcome:
            wrong.append(f"{name}: {story.outcome} instead of {outcome}")
        if word not in story.reason.lower():
            wrong.append(f"{name}: the reason does not name {word}: {story.reason}")
        if story.failed:
            wrong.append(f"{name}: {story.failed} requests failed that no bad version answered")
    if len(told) > 1 and told[1].weights != [5, 25, 50, 100]:
        wrong.append(f"version 2 went {told[1].weights} instead of 5, 25, 50, 100")
    return wrong


def table(told: list[Told]) -> str:
    """What clients saw."""
    lines = [
        f"{'story':<34}{'outcome':<10}{'weights':<18}{'failed':>7}{'bad to last':>13}  answers by version and status"
    ]
    for story in told:
        weights = " ".join(map(str, story.weights)) or "-"
        last = f"{story.bad_to_last_seconds:.2f} s" if story.bad_to_last_seconds is not None else "-"
        answers = "; ".join(
            f"v{version}: " + ", ".join(f"{count} x {status}" for status, count in statuses.items())
            for version, statuses in story.answers.items()
        )
        lines.append(f"{story.name:<34}{story.outcome:<10}{weights:<18}{story.failed:>7}{last:>13}  {answers}")
    return "\n".join(lines)


def main() -> int:
    """Run the demo; 0 only if everything went as told."""
    begin, view = time.monotonic(), View()
    with (
        opened((*profile(os.environ).images, *IMAGES), Progress(), os.environ) as access,
        tempfile.TemporaryDirectory() as folder,
    ):
        bodies, there = Path(folder, "bodies.jsonl"), namespaces(access)
        try:
            mlflow = furnish(access, view, bodies)
            view.say("-- holds are a few seconds and samples small here, so that you can watch; see docs for real ones")
            told = tell(access, mlflow, view, bodies)
        finally:
            if is_named(os.environ):
                tidy(access, view, there)
    wrong = went_well(told)
    REPORT.parent.mkdir(exist_ok=True)
    report = {"stories": [story.facts() for story in told], "passed": not wrong}
    REPORT.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    view.say(f"\n{table(told)}\n")
    for line in wrong:
        view.say(f"NOT AS IT SHOULD BE: {line}")
    view.say(f"{'passed' if not wrong else 'failed'} in {time.monotonic() - begin:.0f} s; the same in {REPORT}")
    return 0 if not wrong else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ClusterError as error:
        sys.exit(f"demo: {error}")
