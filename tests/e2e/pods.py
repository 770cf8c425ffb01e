"""Pods of the embedded cluster as a misfortune meets them: signals to their processes, and who is left."""

import subprocess
from contextlib import suppress
from typing import Any

from tests.cluster import remains
from tests.cluster.errors import StartError
from tests.e2e.objects import Objects


def living(objects: Objects, namespace: str, selector: str) -> list[dict[str, Any]]:
    """The pods that are not on their way out."""
    found = objects.get(f"/api/v1/namespaces/{namespace}/pods?labelSelector={selector}")["items"]
    return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]


def ready(pod: dict[str, Any]) -> bool:
    """Whether it says so."""
    return any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", []))


def signalled(objects: Objects, namespace: str, name: str, word: str) -> None:
    """Send a signal (`SIGSTOP`, `SIGCONT`, ...) to the process of a pod's only container."""
    access, found = objects.access, objects.get(f"/api/v1/namespaces/{namespace}/pods/{name}")
    _, _, container = found["status"]["containerStatuses"][0]["containerID"].partition("://")
    socket = remains.ROOT / str(access.run) / "containerd" / "run" / "containerd.sock"
    subprocess.run(
        [str(access.ctr_program), f"--address={socket}", "-n", "k8s.io", "tasks", "kill", "-s", word, container],
        check=True,
        capture_output=True,
    )


def said(objects: Objects, namespace: str, name: str) -> str:
    """All that the process of a pod's only container said, and the one before it, where there was one."""
    # In this order: a process that is started again in between is found by the second look.
    words = objects.access.kubectl("logs", name, "-n", namespace)
    with suppress(StartError):
        words = objects.access.kubectl("logs", name, "-n", namespace, "--previous") + words
    return words


def killed(objects: Objects, namespace: str, name: str) -> None:
    """SIGKILL, and the pod is deleted: a new one comes at once, where the container would wait for its back-off."""
    signalled(objects, namespace, name, "SIGKILL")
    removed(objects, namespace, name)


def removed(objects: Objects, namespace: str, name: str) -> None:
    """The pod is deleted at once, with what it said."""
    objects.access.kubectl("delete", "pod", name, "-n", namespace, "--grace-period=0", "--force", "--wait=false")
