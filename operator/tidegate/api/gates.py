"""What must hold before a new version gets its first request."""

import re
from typing import Annotated, Any, Literal

from pydantic import Field

from tidegate.api.rules import Rule, Text, Unique, Wire
from tidegate.api.scalars import Duration, Number, between
from tidegate.core.gates import INVOCATIONS
from tidegate.core.semver import RANGE

_TAG = r"^[a-zA-Z0-9_./ :-]+$"
_LONGEST = 250
_REMEDY = "must name tags as MLflow writes them, such as validation_status: letters, digits, '_', '-', '.', '/', ':'"

_Tag = Annotated[str, Text(pattern=_TAG, max_length=_LONGEST, remedy=_REMEDY)]
_Tags = Annotated[
    dict[str, Annotated[str, Field(min_length=1, max_length=256)]],
    Field(max_length=16),
    Rule(
        cel=f"self.all(name, size(name) <= {_LONGEST} && name.matches('{_TAG}'))",
        holds=lambda tags: all(len(name) <= _LONGEST and re.fullmatch(_TAG, name, re.ASCII) for name in tags),
        message=_REMEDY,
    ),
]


_Size = Annotated[
    str,
    Text(
        pattern=r"^[1-9][0-9]{0,8}(\.[0-9]{1,3})?(k|M|G|T|Ki|Mi|Gi|Ti)?$",
        max_length=15,
        remedy="must be a size such as 500Mi or 2Gi",
    ),
]
_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12} | {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}


def size(text: str) -> int:
    """Read a size as bytes: `1.5Gi`."""
    number = text.rstrip("kMGTi")
    return round(float(number) * _UNITS[text.removeprefix(number)])


class Metric(Wire):
    """A metric of the version's run."""

    rules = (
        Rule(
            cel="has(self.max) || has(self.min)",
            holds=lambda metric: metric.max is not None or metric.min is not None,
            message="must have a limit: set max or min",
        ),
    )
    name: Annotated[
        str,
        Text(pattern=_TAG, max_length=_LONGEST, remedy="must be the name of a metric as MLflow writes it, such as f1"),
    ]
    """The metric's name in MLflow."""
    min: Number | None = None
    """The least that its newest value may be, such as "0.85"."""
    max: Number | None = None
    """The most that it may be."""


class SemVer(Wire):
    """A tag that holds a semantic version (semver.org), of the model's schema for instance."""

    rules = (
        Rule(
            cel="has(self.range) || (has(self.notBelowStable) && self.notBelowStable)",
            holds=lambda gate: gate.range is not None or gate.not_below_stable,
            message="asks for nothing: set range, or notBelowStable to true",
        ),
    )
    tag: _Tag
    """The tag's name. A version without it, or with something else in it, is waited for."""
    range: (
        Annotated[
            str,
            Text(
                pattern=f"^{RANGE}$",
                max_length=256,
                remedy="must be one to four comparators with a space between them that must all hold, such as >=1.2 <2",
            ),
        ]
        | None
    ) = None
    """The range that it must be in, such as ">=1.2 <2": up to four comparators that must all hold."""
    not_below_stable: bool = False
    """Whether it may not be below that of the version that serves."""


class Request(Wire):
    """The request that smoke and throughput send, where the saved input example is none."""

    path: (
        Annotated[
            str,
            Text(
                pattern=r"^/[A-Za-z0-9\-._~!$&'()*+,;=:@%/?]*$",
                max_length=256,
                remedy="must be an absolute path such as /invocations",
            ),
        ]
        | None
    ) = None
    """Where it is sent; absent: /invocations."""
    body: Annotated[dict[str, Any], Field(max_length=64)] | None = None
    """What is sent, as JSON; absent: the input example that MLflow saved with the version."""


class Smoke(Wire):
    """One request that must be answered, and one that must be refused."""

    timeout: Annotated[Duration, between("10ms", "1m")] = "2s"
    """How long the answer to the request may take. One that is no 2xx, or comes later, three times in a row, rejects
    the version."""
    malformed: bool | None = None
    """Whether a body that is no JSON must be answered with a 4xx. Anything else, three times in a row, rejects the
    version. Absent: true, but for runtimes mlserver (at /invocations) and triton, which answer 500 to what they can't
    parse."""


class Throughput(Wire):
    """A short load on one pod, at little more than the pace that is asked for."""

    min: int = Field(ge=1, le=300)
    """How many of its requests must be answered 2xx in a second. Fewer, three times in a row, reject the version."""
    duration: Annotated[Duration, between("1s", "30s")] = "5s"
    """How long it lasts at the most."""
    concurrency: int = Field(default=4, ge=1, le=32)
    """How many requests are under way at a time."""


class Gates(Wire):
    """What must hold before a new version gets its first request.

    A version that goes back into traffic within rollout.rollbackWindow passed them when it came, and passes no more.
    """

    rules = (
        Rule(
            cel="!has(self.request) || has(self.smoke) || has(self.throughput)",
            holds=lambda gates: gates.request is None or gates.smoke is not None or gates.throughput is not None,
            message="is sent by smoke and throughput: add one of them, or leave it out",
            field="request",
        ),
    )

    tags: _Tags | None = None
    """Tags that the version must have in the registry, with these values. One that is missing, or has another value, is
    waited for."""
    tags_present: Annotated[list[_Tag], Field(max_length=16), Unique()] | None = None
    """Tags that the version must have, whatever their values. One that is missing is waited for."""
    max_age: Annotated[Duration, between("1m", "87600h")] | None = None
    """How long ago the version may have been registered at the most, such as 720h. An older one is rejected."""
    metrics: Annotated[list[Metric], Field(max_length=16), Unique(key="name")] | None = None
    """Metrics of the version's run. One that is missing is waited for, one beyond a limit rejects the version."""
    semver: SemVer | None = None
    """A semantic version in a tag. One out of range, or below stable's, rejects the version."""
    signature: Literal["Compatible", "Identical", "Ignore"] = "Ignore"
    """What the model's signature owes that of the version that serves. Compatible: requests that suit stable suit it,
    and what is in stable's answers is in its answers. One that does not rejects the version."""
    max_size: _Size | None = None
    """How large the model may be by model_size_bytes in its file MLmodel, such as 500Mi. A larger one is rejected."""
    smoke: Smoke | None = None
    """Requests to one pod of the version once it is ready, before its first weight: one that must be answered, and one
    that must be refused. While the pod takes none they are waited for, at most rollout.progressDeadline."""
    throughput: Throughput | None = None
    """A short load on one pod of the version once it is ready, before its first weight. One object's at a time."""
    request: Request | None = None
    """What smoke and throughput send; absent: the input example that MLflow saved with the version, to /invocations. A
    version without one is rejected. Runtimes kserve, triton and vllm need path and body here."""

    @property
    def at_invocations(self) -> bool:
        """Whether requests go where MLflow's protocol takes them."""
        return self.request is None or self.request.path in {None, INVOCATIONS}

    @property
    def sends_its_own(self) -> bool:
        """Whether no saved input example is sent: nothing is, or a request that is written here."""
        if self.smoke is None and self.throughput is None:
            return True
        return self.request is not None and self.request.path is not None and self.request.body is not None
