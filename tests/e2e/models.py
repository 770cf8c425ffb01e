"""Real models for one test: two good ones, one whose file is garbage and one whose files are gone.

Runs as a program of its own inside the cluster's network, with full MLflow: `python -m tests.e2e.models`.
"""

import argparse
import tempfile
from pathlib import Path

import mlflow
from examples.demo.models import bodies, register_plain, train
from mlflow.tracking import MlflowClient


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


def main() -> None:
    """Register all four and write what the load driver sends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", required=True)
    parser.add_argument("--bodies", required=True, type=Path)
    args = parser.parse_args()
    args.bodies.write_text("\n".join(bodies()) + "\n", encoding="utf-8")
    register_plain(args.name, strength=0.001, seed=1)
    register_plain(args.name, strength=1.0, seed=2)
    register_garbage(args.name)
    register_files(args.name, None)


if __name__ == "__main__":
    main()
