"""Gateway API: what a live HTTPRoute and its gateways say, and whose claim on a host comes first.

Source: https://gateway-api.sigs.k8s.io/reference/spec/ (v1, HTTPRoute and RouteParentStatus).
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tidegate.core.labels import GATEWAY_GROUP
from tidegate.core.observed import RouteFacts
from tidegate.core.record import Record
from tidegate.ports import Manifest

#: A route says it works by these two; each at the route's present generation.
_CONDITIONS = ("Accepted", "ResolvedRefs")
_EVERY_HOST = "*"
_EVERY_PATH: Mapping[str, Any] = {"path": {"type": "PathPrefix", "value": "/"}}
_WORDS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Parent:
    """What a route attaches to, with Gateway API's defaults filled in. `section` and `port` None: all listeners."""

    group: str
    kind: str
    namespace: str
    name: str
    section: str | None = None
    port: int | None = None

    @classmethod
    def of(cls, reference: Mapping[str, Any], namespace: str) -> "Parent":
        """The parent that a `parentRef` in a route of `namespace` means."""
        return cls(
            group=reference.get("group", GATEWAY_GROUP),
            kind=reference.get("kind", "Gateway"),
            namespace=reference.get("namespace") or namespace,
            name=reference.get("name", ""),
            section=reference.get("sectionName"),
            port=reference.get("port"),
        )

    def meets(self, other: "Parent") -> bool:
        """Whether both attach to some one listener."""
        mine, theirs = (self.group, self.kind, self.namespace, self.name), (other.group, other.kind, *other.place)
        sections = self.section is None or other.section is None or self.section == other.section
        return mine == theirs and sections and (self.port is None or other.port is None or self.port == other.port)

    @property
    def place(self) -> tuple[str, str]:
        """Namespace and name."""
        return self.namespace, self.name


def route_facts(route: Manifest, record: Record) -> RouteFacts:
    """Read a live HTTPRoute. `record` is the decoded one of its annotation.

    A weight is the highest that any rule gives a backend: rules that were edited by hand count for the worst that they
    can do.
    """
    metadata = route["metadata"]
    parents, refusal = _confirmations(route), _refusal(route)
    return RouteFacts(
        uid=metadata["uid"],
        resource_version=metadata["resourceVersion"],
        record=record,
        weights=_weights(route),
        confirmed=bool(parents) and all(parents),
        refusal=refusal,
    )


def _weights(route: Manifest) -> dict[str, int]:
    highest: dict[str, int] = {}
    for rule in _rules(route):
        shares: dict[str, int] = defaultdict(int)
        for backend in rule.get("backendRefs") or ():
            shares[backend["name"]] += backend.get("weight", 1)
        for name, share in shares.items():
            highest[name] = max(share, highest.get(name, 0))
    return highest


def _rules(route: Manifest) -> list[Mapping[str, Any]]:
    return route.get("spec", {}).get("rules") or []


def _confirmations(route: Manifest) -> list[bool]:
    """For each parentRef, whether some gateway accepted it and found its backends, at the present generation."""
    answers: list[bool] = []
    for parent in _parents(route):
        found = [_conditions(route, status) for status in _statuses(route, parent)]
        answers.append(any(all(c.get(t, {}).get("status") == "True" for t in _CONDITIONS) for c in found))
    return answers


def _refusal(route: Manifest) -> str | None:
    for parent in _parents(route):
        for status in _statuses(route, parent):
            for kind, condition in _conditions(route, status).items():
                if condition.get("status") == "False":
                    said = [f"gateway {parent.namespace}/{parent.name}", f"{kind} is False"]
                    said += [words for field in ("reason", "message") if (words := condition.get(field))]
                    return ": ".join(said)[:_WORDS]
    return None


def _parents(route: Manifest) -> list[Parent]:
    namespace = route["metadata"]["namespace"]
    return [Parent.of(reference, namespace) for reference in route.get("spec", {}).get("parentRefs") or ()]


def _statuses(route: Manifest, parent: Parent) -> Iterator[Mapping[str, Any]]:
    namespace = route["metadata"]["namespace"]
    for status in route.get("status", {}).get("parents") or ():
        if Parent.of(status.get("parentRef", {}), namespace) == parent:
            yield status


def _conditions(route: Manifest, status: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The two conditions by type, those at the route's present generation only."""
    generation = route["metadata"].get("generation")
    return {
        condition["type"]: condition
        for condition in status.get("conditions") or ()
        if condition["type"] in _CONDITIONS and condition.get("observedGeneration") == generation
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One parent, host and match that a route wants for itself."""

    parent: Parent
    host: str
    match: str


def claims_of(route: Manifest) -> frozenset[Claim]:
    """Everything that a route (live or about to be) claims."""
    hosts = route.get("spec", {}).get("hostnames") or [_EVERY_HOST]
    matches = [match for rule in _rules(route) or [{}] for match in rule.get("matches") or [_EVERY_PATH]]
    keys = {_match_key(match) for match in matches}
    return frozenset(
        Claim(parent=parent, host=host.lower(), match=key)
        for parent in _parents(route)
        for host in hosts
        for key in keys
    )


def _match_key(match: Mapping[str, Any]) -> str:
    path = {**_EVERY_PATH["path"], **(match.get("path") or {})}
    exact = {
        field: sorted(({"type": "Exact", **part} for part in match[field]), key=lambda part: str(part.get("name")))
        for field in ("headers", "queryParams")
        if match.get(field)
    }
    method = {"method": match["method"]} if match.get("method") else {}
    return json.dumps({"path": path, **exact, **method}, sort_keys=True)


class Claims:
    """Which routes claim what, kept as routes come and go; a question costs no walk over all of them."""

    def __init__(self) -> None:
        self._claims: dict[tuple[str, str], frozenset[Claim]] = {}
        self._ages: dict[tuple[str, str], tuple[str, str, str]] = {}
        self._by_place: dict[tuple[tuple[str, str], str, str], set[tuple[str, str]]] = defaultdict(set)

    def put(self, route: Manifest) -> None:
        """Take a live route's state."""
        key = _key(route)
        claims = claims_of(route)
        self._ages[key] = _age(route)
        if self._claims.get(key) == claims:
            return
        self._forget(key)
        self._claims[key] = claims
        for claim in claims:
            self._by_place[_place(claim)].add(key)

    def drop(self, namespace: str, name: str) -> None:
        """Forget a route that is gone."""
        self._forget((namespace, name))
        self._ages.pop((namespace, name), None)

    def taken_by(self, route: Manifest) -> str | None:
        """`namespace/name` of the oldest other route that claims what `route` claims and is older; None where none is.

        `route` may not be live yet: then every other one is older.
        """
        mine = _key(route)
        age = self._ages.get(mine)
        rivals = {
            rival
            for claim in claims_of(route)
            for rival in self._by_place.get(_place(claim), ())
            if rival != mine and self._meets(rival, claim)
        }
        older = sorted(self._ages[rival] for rival in rivals if age is None or self._ages[rival] < age)
        return f"{older[0][1]}/{older[0][2]}" if older else None

    def _meets(self, rival: tuple[str, str], claim: Claim) -> bool:
        return any(
            other.host == claim.host and other.match == claim.match and other.parent.meets(claim.parent)
            for other in self._claims[rival]
        )

    def _forget(self, key: tuple[str, str]) -> None:
        for claim in self._claims.pop(key, ()):
            place = _place(claim)
            self._by_place[place].discard(key)
            if not self._by_place[place]:
                del self._by_place[place]


def _key(route: Manifest) -> tuple[str, str]:
    return route["metadata"]["namespace"], route["metadata"]["name"]


def _place(claim: Claim) -> tuple[tuple[str, str], str, str]:
    return claim.parent.place, claim.host, claim.match


def _age(route: Manifest) -> tuple[str, str, str]:
    # As Gateway API breaks ties: the oldest by creation, then by namespace and name.
    return str(route["metadata"].get("creationTimestamp", "")), *_key(route)
