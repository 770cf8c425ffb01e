"""A model whose signature is its type hint: MLflow checks inputs inside predict itself."""

import mlflow
import pydantic


class Row(pydantic.BaseModel):
    """One input."""

    amount: float


class Hinted(mlflow.pyfunc.PythonModel):
    """Answers the amounts; refuses negative ones with an error of its own."""

    def predict(self, model_input: list[Row]) -> list[float]:
        if any(row.amount < 0 for row in model_input):
            raise ValueError("negative amounts are not supported")
        return [row.amount for row in model_input]


mlflow.models.set_model(Hinted())
