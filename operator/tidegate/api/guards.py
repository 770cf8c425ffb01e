"""What must keep holding while a new version gets traffic."""

import re
from typing import Annotated, Literal

from pydantic import Field

from tidegate.api.rules import Rule, Unique, Wire
from tidegate.api.scalars import Duration, Label, Mode, Number, Percentage, Percentile, Promql, Ratio, between
from tidegate.core.predictions import FEWEST


class ErrorRate(Wire):
    """Share of requests that fail: 5xx, connections reset, requests unanswered after `timeout`."""

    rules = (
        Rule(
            cel="has(self.max) || has(self.maxRatio) || has(self.maxIncrease)",
            holds=lambda guard: any(limit is not None for limit in (guard.max, guard.max_ratio, guard.max_increase)),
            message="must have a limit: set max, maxRatio or maxIncrease",
        ),
    )
    max: Percentage | None = None
    """The most that the new version may have, such as 1%. With 0% the first three failures are a breach."""
    max_ratio: Ratio | None = None
    """How many times stable's share it may have at the most, such as "1.5"."""
    max_increase: Percentage | None = None
    """How many points above stable's share it may have at the most, such as 2%."""
    mode: Mode | None = None
    """Overrides the mode of all guards."""


class ClientErrors(Wire):
    """Share of requests answered 4xx, against stable: a new schema that refuses what clients really send."""

    max_ratio: Ratio
    """How many times stable's share the new version may have at the most, such as "2"."""
    mode: Mode | None = None
    """Overrides the mode of all guards."""


class Latency(Wire):
    """A percentile of the answer times."""

    rules = (
        Rule(
            cel="has(self.max) || has(self.maxRatio)",
            holds=lambda guard: guard.max is not None or guard.max_ratio is not None,
            message="must have a limit: set max or maxRatio",
        ),
    )
    percentile: Percentile
    """Which percentile, such as "95" or "99.9"."""
    max: Annotated[Duration, between("1ms", "10m")] | None = None
    """The longest that it may be. It is compared with the next edge of the histogram, which findings name."""
    max_ratio: Ratio | None = None
    """How many times stable's it may be at the most, such as "1.2"."""
    mode: Mode | None = None
    """Overrides the mode of all guards."""


class Drift(Wire):
    """Whether the new version's numeric predictions are distributed as stable's of the same time.

    Judged when a step's hold is over, on what was predicted since the step began. At 100% there is nothing to compare
    with.
    """

    max_psi: Annotated[
        Number,
        Rule(
            cel="double(self) > 0.0 && double(self) <= 10.0",
            holds=lambda value: 0 < float(value) <= 10,  # noqa: PLR2004
            message="must be above 0 and at most 10: 0.1 is little, 0.25 a shift",
        ),
    ] = "0.25"
    """The most that the population stability index (PSI) of the two may be. Commonly below 0.1 is stable, above 0.25 a
    shift."""
    min_predictions: Annotated[int, Field(ge=FEWEST, le=100_000_000)] = 1000
    """Predictions that either version must have made at a step before it is judged; nothing is raised before."""
    on_drift: Literal["Hold", "Revert"] = "Hold"
    """Hold: the weight stays where it is until somebody promotes or aborts the version. Revert: everything goes back,
    and the version is rejected."""
    mode: Mode | None = None
    """Overrides the mode of all guards. With Observe the finding is shown and holds nothing."""


_LABEL = r"^[a-zA-Z_][a-zA-Z0-9_]*$"
_LONGEST = 128
_Labels = Annotated[
    dict[str, Annotated[str, Field(min_length=1, max_length=256)]],
    Field(max_length=8),
    Rule(
        cel=f"size(self) > 0 && self.all(name, size(name) <= {_LONGEST} && name.matches('{_LABEL}'))",
        holds=lambda labels: (
            bool(labels) and all(len(name) <= _LONGEST and re.fullmatch(_LABEL, name, re.ASCII) for name in labels)
        ),
        message="must name at least one label as Prometheus writes them, such as namespace: letters, digits and '_'",
    ),
]


class Alerts(Wire):
    """Which alerts take the new version off traffic, and hold it while there is nothing to lower."""

    match_labels: _Labels | None = None
    """Labels that an alert must have, with these values. Absent: namespace and modeldeployment, with the namespace and
    the name of this object."""
    mode: Mode | None = None
    """Overrides the mode of all guards. With Observe alerts are shown in status and hold nothing."""


_Latencies = Annotated[
    list[Latency],
    Field(max_length=4),
    Rule(
        cel="self.all(g, self.exists_one(h, double(h.percentile) == double(g.percentile)))",
        holds=lambda guards: len({float(guard.percentile) for guard in guards}) == len(guards),
        message="has one percentile twice: put both limits into one",
    ),
]


class Query(Wire):
    """A number that Prometheus gives, to be kept within limits. What is no single number says nothing."""

    rules = (
        Rule(
            cel="has(self.max) || has(self.min)",
            holds=lambda query: query.max is not None or query.min is not None,
            message="must have a limit: set max or min",
        ),
    )
    name: Label
    """Names the guard in findings, as queries.<name>."""
    promql: Promql
    """The query. It gives one number. ${revision} and ${stable} stand for the revisions (and their Services; pods begin
    with them), ${namespace} and ${name} for the object, ${window} for the time since the new version's first traffic,
    at most 5m."""
    max: Number | None = None
    """The most that the number may be."""
    min: Number | None = None
    """The least that the number may be."""
    for_: Annotated[Duration, between("0s", "1h")] = Field(default="30s", alias="for")
    """For how long every answer has to be beyond a limit to be a breach."""
    mode: Mode | None = None
    """Overrides the mode of all guards."""


class Guards(Wire):
    """What must keep holding while a new version gets traffic.

    Without errorRate, clientErrors and latency the new version is held against stable: error rate at most 1.5 times
    and 2 points above stable's, client errors at most twice stable's, 95th percentile of latency at most 1.5 times
    stable's.
    """

    error_rate: ErrorRate | None = None
    """Share of requests that fail."""
    client_errors: ClientErrors | None = None
    """Share of requests that are refused as wrong."""
    latency: _Latencies | None = None
    """Percentiles of the answer times."""
    queries: Annotated[list[Query], Field(max_length=8), Unique(key="name")] | None = None
    """Numbers of your own, asked of the operator's Prometheus."""
    drift: Drift | None = None
    """Whether it predicts what stable predicts."""
    alerts: Alerts | None = None
    """Which alerts take the new version off traffic."""
    min_requests: int | None = Field(default=None, ge=1, le=100_000_000)
    """Requests that a step must have seen before a guard may call the new version healthy. Absent: three over the
    limit (the rule of three), at least 50."""
    timeout: Annotated[Duration, between("100ms", "10m")] = "30s"
    """A request that is unanswered for this long counts as failed at once."""
    interval: Annotated[Duration, between("250ms", "1m")] = "1s"
    """How often the evidence is read while a rollout is under way."""
    mode: Mode = "Enforce"
    """Enforce: a breach takes the new version off traffic. Observe: findings only."""
