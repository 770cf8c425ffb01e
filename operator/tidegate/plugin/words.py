"""What `approve` and `refuse` create: a `ModelApproval` in the person's own name, about what he sees."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tidegate.core.labels import API_VERSION, APPROVAL_KIND
from tidegate.plugin.actions import Body, named
from tidegate.plugin.failures import Declined

_FINAL = frozenset({"Done", "Refused", "Failed"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Saying:
    """The object to be created, and what comes of it."""

    manifest: Mapping[str, Any]
    message: str


def on_step(body: Body, user: Mapping[str, Any], *, grant: bool, weight: int | None, comment: str | None) -> Saying:
    """A word on a step of the rollout under way: the one that waits, or one of a weight of the person's choice.

    `user` is a `userInfo` of the API server.

    Raises:
        Declined: there is nothing to say it about.
    """
    rollout = (body.get("status") or {}).get("rollout")
    if rollout is None:
        raise Declined("no rollout is under way")
    if rollout.get("verdict"):
        raise Declined(f"version {rollout['version']} goes back: {rollout['verdict']['message']}")
    known = [said["weight"] for said in rollout.get("approvals") or ()]
    waits = (rollout.get("waitsFor") or {}).get("weight")
    about = weight or waits or (None if grant else next(reversed(known), None))
    if about is None:
        raise Declined("no step waits for approval: name one by --weight")
    step = {
        "modelDeployment": body["metadata"]["name"],
        "version": rollout["version"],
        "attempt": rollout["attempt"],
        "weight": about,
    }
    verb = "may get" if grant else "may not get"
    message = f"{named(rollout)} {verb} {about}%, says {user['username']}"
    return _saying(body, user, {"step": step}, message, grant=grant, comment=comment)


def on_promotion(
    body: Body, user: Mapping[str, Any], *, grant: bool, groups: Sequence[str], comment: str | None
) -> Saying:
    """A word on a `ModelPromotion`, in the name of the person and of groups that he is in.

    Raises:
        Declined: it is decided, he asked for it himself, or he is in no such group.
    """
    meta, spec, status = body["metadata"], body["spec"], body.get("status") or {}
    if status.get("phase") in _FINAL:
        raise Declined(f"it is {status['phase']} already: {status.get('message', '')}")
    if spec["requestedBy"] == user["username"]:
        raise Declined("you asked for it yourself: somebody else has to decide")
    foreign = [group for group in groups if group not in user.get("groups", ())]
    if foreign:
        raise Declined(f"you are not in {', '.join(foreign)}: see kubectl auth whoami")
    about: dict[str, Any] = {"promotion": {"name": meta["name"], "uid": meta["uid"]}}
    if groups:
        about["groups"] = list(groups)
    verb = "may go" if grant else "may not go"
    message = f"version {spec['version']} of {spec['model']} {verb} to {spec['to']}, says {user['username']}"
    return _saying(body, user, about, message, grant=grant, comment=comment)


def _saying(
    body: Body,
    user: Mapping[str, Any],
    about: Mapping[str, Any],
    message: str,
    *,
    grant: bool,
    comment: str | None,
) -> Saying:
    meta = body["metadata"]
    spec = {"approver": user["username"], "decision": "Grant" if grant else "Refuse", **about}
    manifest = {
        "apiVersion": API_VERSION,
        "kind": APPROVAL_KIND,
        "metadata": {"generateName": f"{meta['name']}-", "namespace": meta["namespace"]},
        "spec": spec | ({"comment": comment} if comment else {}),
    }
    return Saying(manifest=manifest, message=message)
