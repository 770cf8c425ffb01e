"""Serving presets of other projects, and the guards that their pages can and can't feed."""

from collections.abc import Mapping
from typing import Any

from tests.unit.api.case import Case, right, wrong

_IMAGE = {"spec": {"containers": [{"name": "model", "image": "registry.example.com/server:1"}]}}
_ERRORS = {"errorRate": {"max": "1%"}}
_REFUSALS = {"clientErrors": {"maxRatio": "2"}}
_LATENCY = {"latency": [{"percentile": "95", "max": "10s"}]}


def _served(runtime: str, guards: Mapping[str, Any] | None = None, **evidence: Any) -> Mapping[str, Any]:
    fields = {"guards": guards} if guards else {}
    return {"serving": {"runtime": runtime, "template": _IMAGE}, "evidence": evidence, **fields}


def _unfed(says: str, field: str, spec: Mapping[str, Any]) -> Case:
    return wrong(says, f"spec.guards.{field}", spec)


RUNTIMES = (
    *(right(f"{runtime} with an image", _served(runtime)) for runtime in ("kserve", "triton", "vllm")),
    right("a latency of kserve's at the end of its histogram", _served("kserve", _LATENCY)),
    right("errors of triton's", _served("triton", _ERRORS)),
    right("everything of vllm's", _served("vllm", {**_ERRORS, **_REFUSALS, **_LATENCY})),
    right("errors of kserve's that a gateway sees", _served("kserve", _ERRORS, prometheus=["contour"])),
    right("a long latency of kserve's that a gateway sees", _served(
        "kserve", {"latency": [{"percentile": "95", "max": "30s"}]}, pods=False, prometheus=["contour"],
    )),
)  # fmt: skip
NO_RUNTIMES = (
    *(
        wrong(f"{runtime} without an image", "spec.serving.template", {"serving": {"runtime": runtime}})
        for runtime in ("kserve", "triton", "vllm")
    ),
    _unfed("errors of kserve's, which it does not know", "errorRate", _served("kserve", _ERRORS)),
    _unfed("4xx of triton's, which it does not know", "clientErrors", _served("triton", _REFUSALS)),
    _unfed("a latency of triton's, which has no histogram", "latency", _served("triton", _LATENCY)),
    _unfed("a preset of prometheus that knows no more", "latency", _served("triton", _LATENCY, prometheus=["triton"])),
    _unfed("a latency beyond kserve's histogram", "latency", _served(
        "kserve", {"latency": [{"percentile": "95", "max": "11s"}]},
    )),
    _unfed("a latency beyond mlserver's histogram", "latency", {
        "serving": {"runtime": "mlserver"}, "guards": {"latency": [{"percentile": "95", "max": "11s"}]},
    }),
)  # fmt: skip
