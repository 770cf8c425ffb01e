"""A model whose code ends the process while it is being loaded, as if all were well."""

import sys
from typing import Any

import mlflow
import pandas as pd


class Unloadable(mlflow.pyfunc.PythonModel):
    """Leaves in load_context."""

    def load_context(self, context: Any) -> None:
        sys.exit(0)

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> Any:
        return model_input["x"].to_numpy()


mlflow.models.set_model(Unloadable())
