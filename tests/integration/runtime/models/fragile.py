"""A model that fails on part of its inputs, each in a way of its own."""

import sys
from typing import Any

import mlflow
import pandas as pd
from mlflow.exceptions import MlflowException


class Fragile(mlflow.pyfunc.PythonModel):
    """Answers x, except for a few values of it."""

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> Any:
        x = int(model_input["x"].iloc[0])
        if x == -1:
            raise ValueError("negative amounts are not supported")
        if x == -2:
            raise MlflowException.invalid_parameter_value("the model's own MlflowException")
        if x == -3:
            sys.exit(0)
        if x == -4:
            return {"what": object()}
        return model_input["x"].to_numpy()


mlflow.models.set_model(Fragile())
