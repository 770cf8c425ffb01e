"""Which pods are read for evidence, and whose wishes the registry is asked: both follow the record."""

from collections.abc import Callable, Sequence
from typing import Any

from tidegate.core.frozen import Frozen
from tidegate.core.gates import NOBODY, Asked
from tidegate.core.labels import REVISION, revision_label
from tidegate.core.manifests import Known
from tidegate.core.plan import Plan
from tidegate.core.record import Record
from tidegate.core.values import Revision
from tidegate.loop.evidence import EvidenceWatch, Side, Spec
from tidegate.loop.gates import GateWatch
from tidegate.loop.registries import Registries
from tidegate.loop.words import LastWords
from tidegate.loop.world import World
from tidegate.ports import Manifest, PodTarget


class Follower:
    """Starts and stops what runs beside the passes."""

    def __init__(
        self, *, evidence: EvidenceWatch, registries: Registries, world: World, words: LastWords, gates: GateWatch
    ) -> None:
        self._gates = gates
        self._words = words
        self._evidence = evidence
        self._registries = registries
        self._world = world

    def follow(
        self, key: str, body: Manifest, plan: Plan, record: Record, known: Known, *, at_gates: Asked = NOBODY
    ) -> None:
        """Read the pods of both revisions while a rollout is under way, and of nobody otherwise.

        `at_gates`: the versions that the registry is asked about.
        """
        self._gates.follow(key, at_gates)
        rollout = record.rollout
        if rollout is not None:
            pods = self._world.owned("Pod", key)
            self._words.ask(key, (pod for pod in pods if revision_label(pod) == rollout.canary.name))
        if rollout is None or rollout.verdict is not None or record.stable is None:
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
            saved=saved if mine else None,
            takeovers=1 if rollout.canary_since is not None and not mine else 0,
            untouched=rollout.canary_since is None,
            namespace=plan.ref.namespace,
            name=plan.ref.name,
            sources=plan.sources,
            queries=plan.queries,
            since=rollout.canary_since,
        )
        self._evidence.ensure(key, spec)

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
        return service is not None and (service["spec"].get("selector") or {}).get(REVISION) != revision

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

    def forget(self, key: str) -> None:
        """The object is gone."""
        self._evidence.stop(key)
        self._gates.follow(key, NOBODY)
        self._registries.forget(key)


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
