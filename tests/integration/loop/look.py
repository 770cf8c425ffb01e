"""One reading of an object and its route, in the words of tests."""

from typing import Any

from tests.integration.loop.actors import backends, version_of

from tidegate.ports import Manifest


class Look:
    """One reading of an object and its route."""

    def __init__(self, body: Manifest | None, route: Manifest | None) -> None:
        self.body: Manifest = body or {}
        self.route = route
        self.status: dict[str, Any] = self.body.get("status") or {}

    def condition(self, kind: str) -> dict[str, Any]:
        return next((c for c in self.status.get("conditions", []) if c["type"] == kind), {})

    def reason(self, kind: str) -> str | None:
        """A condition's reason, while it is True."""
        condition = self.condition(kind)
        return condition["reason"] if condition.get("status") == "True" else None

    @property
    def ready(self) -> bool:
        """Ready as kstatus reads it."""
        current = self.status.get("observedGeneration") == self.body["metadata"]["generation"]
        return current and self.condition("Ready").get("status") == "True"

    @property
    def version(self) -> str | None:
        return self.status.get("version")

    @property
    def rollout(self) -> dict[str, Any]:
        return self.status.get("rollout") or {}

    @property
    def weights(self) -> dict[str, int]:
        """The route's shares by version, those of none left out."""
        return {version_of(n): w for n, w in backends(self.route).items() if w} if self.route else {}

    @property
    def confirmed(self) -> dict[str, int]:
        """The shares that the router confirmed, by status."""
        return {version_of(entry["revision"]): entry["weight"] for entry in self.status.get("weights") or ()}

    @property
    def named(self) -> set[str]:
        """The versions that the route names."""
        return {version_of(n) for n in backends(self.route)} if self.route else set()

    @property
    def rejected(self) -> dict[str, dict[str, Any]]:
        return {entry["version"]: entry for entry in self.status.get("rejected", [])}

    @property
    def parked(self) -> dict[str, dict[str, Any]]:
        return {entry["version"]: entry for entry in self.status.get("parked", [])}
