"""A model that hangs on x = -1 and on loading, until a file appears, so that a test says for how long."""

import os
import time
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd


def wait_for(gate: str) -> None:
    """Hang until the file named by the environment variable is there."""
    while gate in os.environ and not Path(os.environ[gate]).exists():
        time.sleep(0.01)


class Gated(mlflow.pyfunc.PythonModel):
    """Answers x; for x = -1 not before the gate is open, for x > 0 after x milliseconds."""

    def load_context(self, context: Any) -> None:
        wait_for("TEST_LOAD_GATE")

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> Any:
        x = int(model_input["x"].iloc[0])
        if x == -1:
            wait_for("TEST_GATE")
        time.sleep(max(x, 0) / 1000)
        return model_input["x"].to_numpy()


mlflow.models.set_model(Gated())
