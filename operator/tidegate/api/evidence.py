"""Where the counts come from that guards are judged by."""

from typing import Annotated, Literal

from pydantic import Field

from tidegate.api.rules import Rule, Unique, Wire

#: How gateways and model servers count, by the software's name; see `core.promql.PRESETS`.
PresetName = Literal["contour", "envoyGateway", "istio", "traefik", "tidegate", "mlserver", "kserve", "triton", "vllm"]


class Evidence(Wire):
    """Where the counts come from.

    Several sources are judged each by itself: one that sees a breach reverts, and a raise needs all of them.
    """

    rules = (
        Rule(
            cel="self.pods || (has(self.prometheus) && size(self.prometheus) > 0)",
            holds=lambda evidence: evidence.pods or bool(evidence.prometheus),
            message="nothing feeds the guards: leave pods true, or name a preset in prometheus",
        ),
    )
    pods: bool = True
    """Whether the pods' own metrics pages are read, every interval."""
    prometheus: Annotated[list[PresetName], Field(max_length=4), Unique()] | None = None
    """What the operator's Prometheus is asked for as well: what these gateways and model servers count, by preset."""
