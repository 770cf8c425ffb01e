"""Four versions of one model: one to start with, a good one, one that raises on some inputs and one that is slow.

They are trained here on a data set that scikit-learn carries. This runs as a program of its own, inside the cluster's
network and with full MLflow: `python -m examples.demo.models`.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import mlflow
from mlflow.models import infer_signature
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

#: Rows with a larger mean radius (the feature's unit is millimetres) than this make version 3 raise: about one in four.
RAISES_ABOVE = 15.8
SLOW_SECONDS = 1.0

#: A model as a team wraps one: the classifier is an artifact, the class is what is wrong with it.
WRAPPED = """
import time

import mlflow
import mlflow.sklearn
from mlflow.pyfunc import PythonModel


class Wrapped(PythonModel):
    def load_context(self, context):
        self.model = mlflow.sklearn.load_model(context.artifacts["classifier"])

    def predict(self, context, model_input, params=None):
        {fault}
        return self.model.predict(model_input)


mlflow.models.set_model(Wrapped())
"""
RAISES = f"""if (model_input["mean radius"] > {RAISES_ABOVE}).any():
            raise ValueError("no branch for tumours of that size")"""
SLOW = f"time.sleep({SLOW_SECONDS})"


def train(strength: float, seed: int) -> tuple[Any, Any, float]:
    """A classifier of that inverse regularisation strength, the data it was tested on, and its accuracy there."""
    features, target = load_breast_cancer(return_X_y=True, as_frame=True)
    learn, test, known, truth = train_test_split(features, target, test_size=0.3, random_state=seed)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=500)).fit(learn, known)
    return model, test, float(model.score(test, truth))


def register_plain(name: str, strength: float, seed: int) -> str:
    """Train and register a plain scikit-learn model; its version number."""
    model, test, accuracy = train(strength, seed)
    with mlflow.start_run():
        mlflow.log_metric("accuracy", accuracy)
        info = mlflow.sklearn.log_model(
            model,
            name="model",
            registered_model_name=name,
            signature=infer_signature(test, model.predict(test)),
            input_example=test.head(2),
            pip_requirements=[],
        )
    return str(info.registered_model_version)


def register_wrapped(name: str, fault: str, seed: int) -> str:
    """Register a model of a class of its own around a classifier; its version number."""
    model, test, _ = train(1.0, seed)
    small = test[test["mean radius"] < RAISES_ABOVE].head(2)
    with tempfile.TemporaryDirectory() as folder, mlflow.start_run():
        code, saved = Path(folder, "wrapped.py"), str(Path(folder, "classifier"))
        code.write_text(WRAPPED.format(fault=fault), encoding="utf-8")
        mlflow.sklearn.save_model(model, saved, pip_requirements=[])
        info = mlflow.pyfunc.log_model(
            name="model",
            python_model=str(code),
            artifacts={"classifier": saved},
            registered_model_name=name,
            signature=infer_signature(test, model.predict(test)),
            input_example=small,
            pip_requirements=[],
        )
    return str(info.registered_model_version)


def bodies() -> list[str]:
    """Request bodies: one row of the data each."""
    features, _ = load_breast_cancer(return_X_y=True, as_frame=True)
    rows = features.to_dict(orient="split", index=False)
    return [json.dumps({"dataframe_split": {"columns": rows["columns"], "data": [row]}}) for row in rows["data"]]


def main() -> None:
    """Register all four, and write what the load driver sends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", required=True)
    parser.add_argument("--bodies", required=True, type=Path)
    args = parser.parse_args()
    args.bodies.write_text("\n".join(bodies()) + "\n", encoding="utf-8")
    makers = (
        lambda: register_plain(args.name, strength=0.001, seed=1),
        lambda: register_plain(args.name, strength=1.0, seed=2),
        lambda: register_wrapped(args.name, RAISES, seed=3),
        lambda: register_wrapped(args.name, SLOW, seed=4),
    )
    for make in makers:
        begin = time.monotonic()
        print(json.dumps({"version": make(), "seconds": round(time.monotonic() - begin, 1)}), flush=True)


if __name__ == "__main__":
    main()
