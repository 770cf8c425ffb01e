"""What keeps routes of a namespace from being written: a policy that denies it, or a webhook that hangs."""

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.cluster.errors import StartError
from tests.driver.platform import wait_for

Kubectl = Callable[..., str]
_ROUTES = {
    "apiGroups": ["gateway.networking.k8s.io"],
    "apiVersions": ["*"],
    "operations": ["CREATE", "UPDATE"],
    # Not `httproutes/status`: gateways go on saying what they did.
    "resources": ["httproutes"],
}
WORDS = "routes are frozen by the change board"


@contextmanager
def denied(kubectl: Callable[[str, str], str], namespace: str, route: str) -> Iterator[None]:
    """No HTTPRoute of a namespace is created or changed within the block.

    `kubectl` runs it with the given verb and manifest. A policy takes seconds to bite, and to let go: both are waited
    for with dry runs on `route`.
    """
    name = f"frozen-{namespace}"
    policy = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {"resourceRules": [_ROUTES], "namespaceSelector": _only(namespace)},
            "validations": [{"expression": "false", "message": WORDS}],
        },
    }
    binding = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": name},
        "spec": {"policyName": name, "validationActions": ["Deny"]},
    }
    both = json.dumps({"apiVersion": "v1", "kind": "List", "items": [policy, binding]})
    probe = Probe(kubectl, namespace, route)
    kubectl("apply", both)
    try:
        wait_for(lambda: not probe.passes(), seconds=30, what="the policy bites")
        yield
    finally:
        kubectl("delete", both)
    wait_for(probe.passes, seconds=30, what="the policy lets go")


class Probe:
    """Whether a write of a route would get through."""

    def __init__(self, kubectl: Callable[[str, str], str], namespace: str, route: str) -> None:
        self._kubectl = kubectl
        self._mark = json.dumps(
            {
                "apiVersion": "gateway.networking.k8s.io/v1",
                "kind": "HTTPRoute",
                "metadata": {"name": route, "namespace": namespace, "annotations": {"example.com/probe": "1"}},
            }
        )

    def passes(self) -> bool:
        """Try it without doing it.

        Raises:
            StartError: it failed for another reason than the policy.
        """
        try:
            self._kubectl("try", self._mark)
        except StartError as error:
            if WORDS not in str(error):
                raise
            return False
        return True


def kubectl_of(run: Kubectl) -> Callable[[str, str], str]:
    """Verb and manifest as kubectl takes them."""
    flags = {
        "apply": ("apply", "--server-side"),
        "delete": ("delete", "--ignore-not-found"),
        "try": ("apply", "--server-side", "--dry-run=server", "--field-manager=probe"),
    }

    def call(verb: str, manifest: str) -> str:
        return run(*flags[verb], "-f", "-", text=manifest)

    return call


@contextmanager
def hanging(kubectl: Callable[[str, str], str], namespace: str, *, seconds: int = 20) -> Iterator[None]:
    """Writes of HTTPRoutes of a namespace get no answer for so long: an admission webhook takes calls and is silent."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as deaf:
        # Connections are taken by the kernel; nobody ever says a word of TLS.
        webhook = {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingWebhookConfiguration",
            "metadata": {"name": f"deaf-{namespace}"},
            "webhooks": [
                {
                    "name": "deaf.example.com",
                    "rules": [_ROUTES],
                    "namespaceSelector": _only(namespace),
                    "clientConfig": {"url": f"https://127.0.0.1:{deaf.getsockname()[1]}/"},
                    "timeoutSeconds": seconds,
                    "failurePolicy": "Fail",
                    "sideEffects": "None",
                    "admissionReviewVersions": ["v1"],
                }
            ],
        }
        text = json.dumps(webhook)
        kubectl("apply", text)
        try:
            yield
        finally:
            kubectl("delete", text)


def _only(namespace: str) -> dict[str, dict[str, str]]:
    return {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
