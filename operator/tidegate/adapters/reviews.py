"""Who asks and what he may, by the API server's word: TokenReview and SubjectAccessReview.

https://kubernetes.io/docs/reference/access-authn-authz/authentication/#webhook-token-authentication and
https://kubernetes.io/docs/reference/access-authn-authz/authorization/#checking-api-access
"""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import aiohttp

from tidegate.adapters.access import Access
from tidegate.core.labels import GROUP
from tidegate.errors import Refused, Unreachable
from tidegate.ports import Caller

#: Seconds that an answer is believed: a right that was taken away ends this much later.
BELIEVED = 10.0
#: Answers kept.
MOST_ANSWERS = 512
#: The longest token that is shown to the API server, in characters.
LONGEST_TOKEN = 16 * 1024
_TOKENS = "/apis/authentication.k8s.io/v1/tokenreviews"
_ACCESS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
_CREATED = 201
_SERVER_ERROR = 500
_PASSING = frozenset({401, 408, 429})


class KubeReviews:
    """`ports.Reviews` by the API server behind an `Access`. `total`: seconds that an answer may take."""

    def __init__(self, access: Access, *, audience: str = "", total: float = 5.0) -> None:
        self._access = access
        self._audiences = [audience] if audience else []
        self._limits = aiohttp.ClientTimeout(total=total)
        self._answers: OrderedDict[tuple[str, ...], tuple[float, Caller | bool | None]] = OrderedDict()

    async def identify(self, token: str) -> Caller | None:
        """Whose token it is; None where it is nobody's, or not made for this audience."""
        if not token or len(token) > LONGEST_TOKEN:
            return None
        question = ("token", sha256(token.encode()).hexdigest())
        known, answer = self._known(question)
        if known and not isinstance(answer, bool):
            return answer
        spec: dict[str, Any] = {"token": token}
        if self._audiences:
            spec["audiences"] = self._audiences
        status = await self._ask(_TOKENS, "authentication.k8s.io/v1", "TokenReview", spec)
        caller = self._caller(status)
        self._keep(question, caller)
        return caller

    async def may_revert(self, caller: Caller, namespace: str, name: str) -> bool:
        """Whether he may `create` `modeldeployments/revert` of this object."""
        question = (caller.name, caller.uid, *caller.groups, "", namespace, name)
        known, answer = self._known(question)
        if known:
            return answer is True
        spec = {
            "user": caller.name,
            "groups": list(caller.groups),
            "uid": caller.uid,
            "extra": {key: list(values) for key, values in caller.extra},
            "resourceAttributes": {
                "group": GROUP,
                "resource": "modeldeployments",
                "subresource": "revert",
                "verb": "create",
                "namespace": namespace,
                "name": name,
            },
        }
        status = await self._ask(_ACCESS, "authorization.k8s.io/v1", "SubjectAccessReview", spec)
        allowed = status.get("allowed") is True and status.get("denied") is not True
        self._keep(question, allowed)
        return allowed

    def _caller(self, status: Mapping[str, Any]) -> Caller | None:
        user = status.get("user") or {}
        if status.get("authenticated") is not True or not user.get("username"):
            return None
        # An authenticator that knows nothing of audiences names none: its word is about the API server only.
        if self._audiences and not set(self._audiences) & set(status.get("audiences") or ()):
            return None
        extra = tuple(sorted((key, tuple(values)) for key, values in (user.get("extra") or {}).items()))
        return Caller(
            name=user["username"], groups=tuple(user.get("groups") or ()), uid=user.get("uid") or "", extra=extra
        )

    async def _ask(self, path: str, version: str, kind: str, spec: Mapping[str, Any]) -> dict[str, Any]:
        body = {"apiVersion": version, "kind": kind, "spec": spec}
        try:
            async with self._access.session.post(
                f"{self._access.server}{path}", json=body, timeout=self._limits
            ) as answer:
                if answer.status in _PASSING or answer.status >= _SERVER_ERROR:
                    raise Unreachable(f"{kind}: the API server answers {answer.status}")
                if answer.status != _CREATED:
                    raise Refused(f"{kind}: the API server answers {answer.status}: may the operator create it?")
                said = await answer.json()
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise Unreachable(f"{kind}: {error or type(error).__name__}") from error
        status = said.get("status") if isinstance(said, dict) else None
        return status if isinstance(status, dict) else {}

    def _known(self, question: tuple[str, ...]) -> tuple[bool, Caller | bool | None]:
        until, answer = self._answers.get(question, (0.0, None))
        return until > asyncio.get_running_loop().time(), answer

    def _keep(self, question: tuple[str, ...], answer: Caller | bool | None) -> None:
        self._answers[question] = (asyncio.get_running_loop().time() + BELIEVED, answer)
        self._answers.move_to_end(question)
        if len(self._answers) > MOST_ANSWERS:
            self._answers.popitem(last=False)
