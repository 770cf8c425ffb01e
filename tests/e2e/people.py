"""What people do in their own names: whom the API server knows, and what they may."""

import json
from typing import Any

from tests.driver.platform import NAMESPACE, RELEASE
from tests.e2e.site import Site

GROUP = "tidegate.dev/v1alpha1"


def bind(site: Site, role: str, person: str) -> None:
    """Give somebody one of the chart's roles in the site's namespace."""
    named = f"--clusterrole={NAMESPACE}-{RELEASE}-{role}"
    site.access.kubectl("create", "rolebinding", f"{role}-{person}", named, f"--user={person}", "-n", site.namespace)


def create(site: Site, kind: str, spec: dict[str, Any], *, name: str = "", user: str = "") -> dict[str, Any]:
    """Make an object in somebody's name; as the API server made it."""
    meta = {"namespace": site.namespace, **({"name": name} if name else {"generateName": "e2e-"})}
    body = json.dumps({"apiVersion": GROUP, "kind": kind, "metadata": meta, "spec": spec})
    made: dict[str, Any] = json.loads(
        site.access.kubectl("create", "-f", "-", "-o", "json", *(identity(user) if user else ()), text=body)
    )
    return made


def identity(user: str) -> tuple[str, str]:
    """Flags of kubectl by which the admin acts as somebody who logged in."""
    return f"--as={user}", "--as-group=system:authenticated"
