"""Which pods are read for evidence, and whose wishes the registry is asked: both follow the record."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tidegate.core.diversion import selected
from tidegate.core.frozen import Frozen
from tidegate.core.gates import NOBODY, Asked
from tidegate.core.labels import revision_label
from tidegate.core.manifests import Known
from tidegate.core.plan import Plan
from tidegate.core.presets import CONTAINER, PORT
from tidegate.core.record import Record
from tidegate.core.trials import Trial
from tidegate.core.values import Revision
from tidegate.loop.evidence import EvidenceWatch, Side, Spec
from tidegate.loop.gates import GateWatch
from tidegate.loop.registries import Registries
from tidegate.loop.trials import TrialWatch
from tidegate.loop.words import LastWords
from tidegate.loop.world import World
from tidegate.ports import Manifest, PodTarget


class Follower:
    """Starts and stops what runs beside the passes."""

    def __init__(
        self,
        *,
        evidence: EvidenceWatch,
        registries: Registries,
        world: World,
        words: LastWords,
        gates: GateWatch,
        trials: TrialWatch,
    ) -> None:
        self._gates = gates
        self._trials = trials
        self._words = words
        self._evidence = evidence
        self._registries = registries
        self._world = world

    def follow(
        self,
        key: str,
        body: Manifest,
        plan: Plan,
        record: Record,
        known: Known,
        *,
        at_gates: Asked = NOBODY,
        trial: Trial | None = None,
    ) -> None:
        """Read the pods of both revisions while a rollout is under way, and of nobody otherwise.

        `at_gates`: the versions that the registry is asked about. `trial`: what a pod of the canary is asked. While it
        is, nobody reads: requests of our own are no evidence, and what was counted by their end is where it begins.
        """
        self._gates.follow(key, at_gates)
        self._trials.follow(key, trial, self._doors(key, trial, known))
        tried = self._trials.tried(key)
        rollout = record.rollout
        if rollout is not None:
            pods = self._world.owned("Pod", key)
            self._words.ask(key, (pod for pod in pods if revision_label(pod) == rollout.canary.name))
        busy = tried is not None and not tried.over
        if rollout is None or rollout.verdict is not None or record.stable is None or busy:
            self._evidence.stop(key)
            return
        canary = self._side(key, rollout.canary, known)
        if canary is None:
            self._evidence.stop(key)
            return
        saved: dict[str, Any] = (body.get("status") or {}).get("judge") or {}
        mine = (saved.get("canary"), saved.get("attempt")) == (rollout.canary.name, rollout.attempt)
        spec = Spec(
            canary=canary,
            stable=self._side(key, record.stable, known),
            attempt=rollout.attempt,
            weight=rollout.weight if rollout.hold is not None else 0,
            guards=plan.guards,
            timeout=plan.request_timeout,
            interval=plan.interval,
            # What was saved before a trial would make its requests evidence.
            saved=saved if mine and trial is None else None,
            takeovers=1 if rollout.canary_since is not None and not mine else 0,
            untouched=rollout.canary_since is None,
            tried=plan.gates.tries,
            namespace=plan.ref.namespace,
            name=plan.ref.name,
            sources=plan.sources,
            queries=plan.queries,
            drift=plan.drift,
            since=rollout.canary_since,
        )
        self._evidence.ensure(key, spec)

    def _doors(self, key: str, trial: Trial | None, known: Known) -> Callable[[], Sequence[str]]:
        """Where the pods of a trial's revision take requests, those that are ready, by their names."""
        kept = known.frozen.get(trial.revision) if trial is not None else None
        port = _port(kept.template) if kept is not None else None

        def doors() -> Sequence[str]:
            pods = [pod for pod in self._world.owned("Pod", key) if kept and revision_label(pod) == kept.revision.name]
            pods.sort(key=lambda pod: str(pod["metadata"]["name"]))
            return [f"http://{_host(pod['status']['podIP'])}:{port}" for pod in pods if port and _ready(pod)]

        return doors

    def _side(self, key: str, revision: Revision, known: Known) -> Side | None:
        kept = known.frozen.get(revision.name)
        if kept is None or kept.metrics is None:
            return None
        return Side(
            revision=revision.name,
            runtime=kept.runtime,
            targets=self._targets(key, revision.name, kept),
            counters=kept.counters,
            diverted=lambda: self._diverted(key, revision.name),
        )

    def _diverted(self, key: str, revision: str) -> bool:
        """Whether the revision's Service selects other pods, whoever made it so."""
        service = self._world.get("Service", f"{key.partition('/')[0]}/{revision}")
        return service is not None and selected(service) != revision

    def _targets(self, key: str, revision: str, kept: Frozen) -> Callable[[], Sequence[PodTarget]]:
        metrics = kept.metrics
        suffix = f":{metrics.port}{metrics.path}" if metrics else ""

        def targets() -> Sequence[PodTarget]:
            pods = (pod for pod in self._world.owned("Pod", key) if revision_label(pod) == revision)
            return [
                PodTarget(uid=pod["metadata"]["uid"], url=f"http://{_host(pod['status']['podIP'])}{suffix}")
                for pod in pods
                if _started(pod)
            ]

        return targets

    def rest(self, key: str) -> None:
        """Nothing can be decided of this object, so nobody is read for it."""
        self._evidence.stop(key)
        self._gates.follow(key, NOBODY)
        self._trials.follow(key, None, tuple)

    def forget(self, key: str) -> None:
        """The object is gone."""
        self._evidence.forget(key)
        self._gates.follow(key, NOBODY)
        self._trials.follow(key, None, tuple)
        self._registries.forget(key)


def _port(template: Mapping[str, Any]) -> int | None:
    """The number of the port that serves."""
    containers = (part for part in template["spec"]["containers"] if part.get("name") == CONTAINER)
    ports = (port for part in containers for port in part.get("ports") or () if port.get("name") == PORT)
    return next((port.get("containerPort") for port in ports), None)


def _ready(pod: Manifest) -> bool:
    status = pod.get("status", {})
    if not status.get("podIP") or pod["metadata"].get("deletionTimestamp"):
        return False
    return any(said["type"] == "Ready" and said["status"] == "True" for said in status.get("conditions") or ())


def _host(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _started(pod: Manifest) -> bool:
    """Whether the pod has an address and a model server that runs or ran: before that there is nothing to read."""
    status = pod.get("status", {})
    if not status.get("podIP") or pod["metadata"].get("deletionTimestamp"):
        return False
    return any(
        container.get("started") or container.get("restartCount") for container in status.get("containerStatuses", ())
    )
