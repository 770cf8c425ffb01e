"""Names of labels and annotations: the one place that spells them."""

GROUP = "tidegate.dev"

MANAGED_BY = "app.kubernetes.io/managed-by"
MANAGER = "tidegate"
OWNER_LABEL = f"{GROUP}/modeldeployment"
REVISION_LABEL = f"{GROUP}/revision"
ROLE_LABEL = f"{GROUP}/role"

RECORD_ANNOTATION = f"{GROUP}/record"
MODEL_ANNOTATION = f"{GROUP}/model"
VERSION_ANNOTATION = f"{GROUP}/version"

#: What people may ask for by annotation; the value names version and attempt, as in `7/2`.
ACTIONS = ("abort", "promote", "retry", "pause")
