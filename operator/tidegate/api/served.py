"""The kinds that have a status, for the CRDs and references made of them. `api/kinds.py` has those without one."""

from tidegate.api.crd import MODEL_DEPLOYMENT
from tidegate.api.modelregistry import MODEL_REGISTRY

SERVED = (MODEL_DEPLOYMENT, MODEL_REGISTRY)
