"""The wire format's strings with a meaning: durations, percentages, ratios, names, quantities."""

import re
from typing import Annotated, Any, Literal

from pydantic import WithJsonSchema
from pydantic.functional_validators import AfterValidator
from pydantic_core import PydanticCustomError

from tidegate.api.rules import REMEDY, Rule, Text
from tidegate.core.queries import names_unknown

_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


def seconds(duration: str) -> float:
    """Read a duration as Gateway API writes it (GEP-2257): `1h30m`, `500ms`. The sum is exact to the millisecond."""
    parts = re.findall(r"([0-9]+)(ms|h|m|s)", duration)
    return round(sum(int(count) * _UNITS[unit] for count, unit in parts), 3)


def share(percentage: str) -> float:
    """Read `1%` as 0.01."""
    return float(f"{percentage.removesuffix('%')}e-2")


def between(low: str, high: str) -> Rule:
    """Return the rule that holds a duration within two others, both allowed."""
    return Rule(
        cel=f"duration(self) >= duration('{low}') && duration(self) <= duration('{high}')",
        holds=lambda value: seconds(low) <= seconds(value) <= seconds(high),
        message=f"must be between {low} and {high}",
    )


#: GEP-2257: at most four numbers of at most five digits, each with its unit.
DURATION_PATTERN = r"^([0-9]{1,5}(h|m|s|ms)){1,4}$"
_DURATION = Text(
    pattern=DURATION_PATTERN,
    max_length=28,
    remedy="must be a duration such as 500ms, 30s, 5m or 1h30m: numbers with the units h, m, s and ms, no sign",
)
#: A duration as Gateway API writes it.
Duration = Annotated[str, _DURATION]

_PERCENTAGE = Text(
    pattern=r"^[0-9]{1,3}(\.[0-9]{1,4})?%$",
    max_length=9,
    remedy="must be a percentage with its sign, such as 1% or 0.5%",
)
#: A share below 100 %, such as `0.5%`.
Percentage = Annotated[
    str,
    _PERCENTAGE,
    Rule(
        cel="double(self.replace('%', '')) < 100.0",
        holds=lambda value: share(value) < 1,
        message="must be below 100%: a limit that nothing can exceed guards nothing",
    ),
]

_RATIO = Text(
    pattern=r"^[0-9]{1,3}(\.[0-9]{1,3})?$",
    max_length=7,
    remedy='must be a decimal number in quotes, such as "1.5"',
)
#: How many times stable's value is still good, such as `1.5`.
Ratio = Annotated[
    str,
    _RATIO,
    Rule(
        cel="double(self) >= 1.0",
        holds=lambda value: float(value) >= 1,
        message="must be at least 1: below it a version as good as stable would be reverted",
    ),
]

#: The percentile of a distribution, such as `95` or `99.9`.
Percentile = Annotated[
    str,
    Text(
        pattern=r"^[0-9]{1,2}(\.[0-9]{1,2})?$",
        max_length=5,
        remedy='must be a percentile in quotes, such as "95" or "99.9"',
    ),
    Rule(
        cel="double(self) >= 1.0",
        holds=lambda value: float(value) >= 1,
        message="must be at least 1",
    ),
]

#: A decimal number of either sign, such as `0.5`.
Number = Annotated[
    str,
    Text(
        pattern=r"^-?[0-9]{1,12}(\.[0-9]{1,9})?$",
        max_length=23,
        remedy='must be a decimal number in quotes, such as "0.5"',
    ),
]

#: A query in Prometheus' language with our placeholders.
Promql = Annotated[
    str,
    Text(pattern=r"\S", max_length=4096, remedy="must be a query in PromQL of at most 4096 characters"),
    Rule(
        cel="!self.replace('${revision}', '').replace('${stable}', '').replace('${namespace}', '')"
        ".replace('${name}', '').replace('${window}', '').matches('[$][{][^0-9]')",
        holds=lambda promql: not names_unknown(promql),
        message="names what nobody can fill in: the placeholders are ${revision}, ${stable}, ${namespace}, ${name} and "
        "${window}",
    ),
]

#: What a guard's finding does.
Mode = Literal["Enforce", "Observe"]

#: The name of an object such as a Secret or a Gateway (RFC 1123 subdomain).
ObjectName = Annotated[
    str,
    Text(
        pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
        max_length=253,
        remedy="must be the name of an object: lower case letters, digits, '-' and '.', such as public",
    ),
]

#: A DNS label (RFC 1123): namespaces.
Label = Annotated[
    str,
    Text(
        pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
        max_length=63,
        remedy="must be a DNS label: lower case letters, digits and '-', at most 63 characters",
    ),
]

#: The name of a `ModelDeployment` (RFC 1035 label): it begins the names of Services, with a suffix.
DeploymentName = Annotated[
    str,
    Text(
        pattern=r"^[a-z]([-a-z0-9]*[a-z0-9])?$",
        max_length=40,
        remedy="must be a DNS label of at most 40 characters that begins with a letter (a-z, 0-9 and '-'), such as "
        "fraud: it begins the names of Services",
    ),
]

_QUANTITY = (
    r"^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$"
)
_QUANTITY_LENGTH = 64
_QUANTITY_REMEDY = "must be a quantity such as 500m, 2 or 1Gi"


def _quantity(value: Any) -> Any:
    whole = isinstance(value, int) and not isinstance(value, bool)
    text = isinstance(value, str) and len(value) <= _QUANTITY_LENGTH and re.fullmatch(_QUANTITY, value, re.ASCII)
    if not (whole or text):
        raise PydanticCustomError("quantity", _QUANTITY_REMEDY)
    return value


#: A Kubernetes quantity, kept as it was written.
Quantity = Annotated[
    Any,
    AfterValidator(_quantity),
    WithJsonSchema(
        {
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            "pattern": _QUANTITY,
            "maxLength": _QUANTITY_LENGTH,
            "x-kubernetes-int-or-string": True,
            REMEDY: _QUANTITY_REMEDY,
        }
    ),
]
