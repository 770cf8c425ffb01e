"""The CRDs of the kinds by which people ask, approve and refuse."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from tidegate.api import retraining
from tidegate.api.approval import ApprovalSpec, ModelApproval
from tidegate.api.crd import schema_of
from tidegate.api.promotion import DECIDED, ModelPromotion, PolicySpec, PromotionPolicy, PromotionSpec, PromotionStatus
from tidegate.api.retraining import RetrainingRequest, RetrainingSpec, RetrainingStatus
from tidegate.api.rules import VALIDATIONS
from tidegate.api.v1alpha1 import GROUP, VERSION

#: Name, type, path and meaning of a column that kubectl prints.
Column = tuple[str, str, str, str]
_AGE: Column = ("Age", "date", ".metadata.creationTimestamp", "Time since the object was created")


@dataclass(frozen=True, slots=True, kw_only=True)
class KindOf:
    """One kind: its names, its spec and what kubectl prints of it."""

    kind: str
    plural: str
    short: str
    about: str
    spec: type[BaseModel]
    status: type[BaseModel] | None = None
    rules: Sequence[dict[str, str]] = ()
    columns: Sequence[Column]

    @property
    def file(self) -> str:
        """The name of its CRD's file."""
        return f"{GROUP}_{self.plural}.yaml"

    def schema(self) -> dict[str, Any]:
        """Return the structural schema."""
        parts = {"spec": schema_of(self.spec)} | ({"status": schema_of(self.status)} if self.status else {})
        return {
            "type": "object",
            "description": self.about,
            "required": ["spec"],
            "properties": {
                "apiVersion": {"type": "string"},
                "kind": {"type": "string"},
                "metadata": {"type": "object"},
                **parts,
            },
            **({VALIDATIONS: list(self.rules)} if self.rules else {}),
        }

    def render(self) -> dict[str, Any]:
        """Return the CustomResourceDefinition as JSON values."""
        columns = [
            {"name": name, "type": kind, "jsonPath": path, "description": text}
            for name, kind, path, text in (*self.columns, _AGE)
        ]
        version = {
            "name": VERSION,
            "served": True,
            "storage": True,
            **({"subresources": {"status": {}}} if self.status else {}),
            "additionalPrinterColumns": columns,
            "schema": {"openAPIV3Schema": _plain(self.schema())},
        }
        return {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": f"{self.plural}.{GROUP}"},
            "spec": {
                "group": GROUP,
                "names": {
                    "kind": self.kind,
                    "listKind": f"{self.kind}List",
                    "plural": self.plural,
                    "singular": self.kind.lower(),
                    "shortNames": [self.short],
                    "categories": ["tidegate"],
                },
                "scope": "Namespaced",
                "versions": [version],
            },
        }


def _plain(part: Any) -> Any:
    """The schema without what only the plugin reads."""
    if isinstance(part, list):
        return [_plain(element) for element in part]
    if isinstance(part, dict):
        return {key: _plain(value) for key, value in part.items() if not key.startswith("x-remedy")}
    return part


KINDS: tuple[KindOf, ...] = (
    KindOf(
        kind="ModelApproval",
        plural="modelapprovals",
        short="mapp",
        about=ModelApproval.__doc__ or "",
        spec=ApprovalSpec,
        columns=(
            ("Decision", "string", ".spec.decision", "Yes or no"),
            ("Approver", "string", ".spec.approver", "Who says so"),
            ("Deployment", "string", ".spec.step.modelDeployment", "The ModelDeployment whose rollout it is about"),
            ("Version", "string", ".spec.step.version", "The model version that is rolled out"),
            ("Attempt", "integer", ".spec.step.attempt", "The attempt"),
            ("Weight", "integer", ".spec.step.weight", "The step's weight in per cent"),
            ("Promotion", "string", ".spec.promotion.name", "The ModelPromotion that it is about"),
        ),
    ),
    KindOf(
        kind="ModelPromotion",
        plural="modelpromotions",
        short="mprom",
        about=ModelPromotion.__doc__ or "",
        spec=PromotionSpec,
        status=PromotionStatus,
        rules=(DECIDED,),
        columns=(
            ("Model", "string", ".spec.model", "The registered model"),
            ("Version", "string", ".spec.version", "The version"),
            ("From", "string", ".spec.from", "The stage that it is in"),
            ("To", "string", ".spec.to", "The stage that it shall be in"),
            ("Requested by", "string", ".spec.requestedBy", "Who asks"),
            ("Phase", "string", ".status.phase", "How far it is"),
        ),
    ),
    KindOf(
        kind="RetrainingRequest",
        plural="retrainingrequests",
        short="mretrain",
        about=RetrainingRequest.__doc__ or "",
        spec=RetrainingSpec,
        status=RetrainingStatus,
        rules=(retraining.DECIDED,),
        columns=(
            ("Model", "string", ".spec.model", "The registered model"),
            ("Version", "string", ".spec.version", "The version that is not good enough"),
            ("Cause", "string", ".spec.cause", "Why"),
            ("Requested by", "string", ".spec.requestedBy", "Who asks"),
            ("Phase", "string", ".status.phase", "How far it is"),
        ),
    ),
    KindOf(
        kind="PromotionPolicy",
        plural="promotionpolicies",
        short="ppol",
        about=PromotionPolicy.__doc__ or "",
        spec=PolicySpec,
        columns=(("Models", "string", ".spec.models", "The registered models that it is about"),),
    ),
)
