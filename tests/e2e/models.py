"""Real models for one test: two good ones, one whose file is garbage, one whose files are gone, one that says yes.

Runs as a program of its own inside the cluster's network, with full MLflow: `python -m tests.e2e.models`.
"""

import argparse
import json
import tempfile
from pathlib import Path

import mlflow
from examples.demo.models import register_plain, train
from mlflow.tracking import MlflowClient
from sklearn.datasets import load_breast_cancer
from sklearn.dummy import DummyClassifier

#: Rows, and so predictions, in each request.
ROWS = 10


def register_files(name: str, folder: Path | None) -> str:
    """Register a version of a folder that is logged as it is; of none, a version whose files were never there."""
    with mlflow.start_run() as run:
        if folder is not None:
            mlflow.log_artifacts(str(folder), "model")
        source = mlflow.get_artifact_uri("model")
    return str(MlflowClient().create_model_version(name, source, run_id=run.info.run_id).version)


def register_garbage(name: str) -> str:
    """Register a version whose model file is none; its number."""
    with tempfile.TemporaryDirectory() as scratch:
        model, _, _ = train(1.0, seed=3)
        saved = Path(scratch, "model")
        mlflow.sklearn.save_model(model, str(saved), pip_requirements=[])
        for file in saved.glob("model.*"):
            file.write_bytes(b"not a model")
        return register_files(name, saved)


def register_yes(name: str) -> str:
    """Register a version that answers every row, at once and without an error, with the same class; its number."""
    features, target = load_breast_cancer(return_X_y=True, as_frame=True)
    model = DummyClassifier(strategy="constant", constant=1).fit(features, target)
    with mlflow.start_run():
        info = mlflow.sklearn.log_model(model, name="model", registered_model_name=name, pip_requirements=[])
    return str(info.registered_model_version)


def bodies() -> list[str]:
    """Request bodies of `ROWS` rows of the data each."""
    features, _ = load_breast_cancer(return_X_y=True, as_frame=True)
    rows = features.to_dict(orient="split", index=False)
    parts = [rows["data"][at : at + ROWS] for at in range(0, len(rows["data"]), ROWS)]
    return [json.dumps({"dataframe_split": {"columns": rows["columns"], "data": part}}) for part in parts]


def main() -> None:
    """Register all five and write what the load driver sends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", required=True)
    parser.add_argument("--bodies", required=True, type=Path)
    args = parser.parse_args()
    args.bodies.write_text("\n".join(bodies()) + "\n", encoding="utf-8")
    register_plain(args.name, strength=0.001, seed=1)
    register_plain(args.name, strength=1.0, seed=2)
    register_garbage(args.name)
    register_files(args.name, None)
    register_yes(args.name)


if __name__ == "__main__":
    main()
