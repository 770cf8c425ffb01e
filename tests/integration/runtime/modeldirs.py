"""Model directories, saved by MLflow's own functions."""

import contextlib
import io
import json
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path

import mlflow.pyfunc
import mlflow.sklearn
import pandas as pd
from mlflow.models import ModelSignature, infer_signature
from mlflow.types import ColSpec, Schema
from sklearn.datasets import load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

SCRIPTS = Path(__file__).with_name("models")
X_IS_A_NUMBER = ModelSignature(inputs=Schema([ColSpec("long", "x")]))


def save_wine(directory: Path) -> Path:
    """Train a classifier of wines on scikit-learn's bundled data and save it, with signature and input example."""
    features, target = load_wine(return_X_y=True, as_frame=True)
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(features, target)
    with _quiet():
        mlflow.sklearn.save_model(
            model,
            str(directory),
            signature=infer_signature(features, model.predict(features)),
            input_example=features.head(3),
            pip_requirements=["scikit-learn"],
        )
    return directory


def save_script(name: str, directory: Path, *, example: int | None = None) -> Path:
    """Save the model in `models/<name>.py`: input column x, except for the type-hinted one."""
    with _quiet():
        mlflow.pyfunc.save_model(
            str(directory),
            python_model=str(SCRIPTS / f"{name}.py"),
            signature=None if name == "hinted" else X_IS_A_NUMBER,
            pip_requirements=["pandas"],
        )
    if example is not None:
        # Written by hand: MLflow would run the model on it first, and some of these hang or fail on purpose.
        body = {"dataframe_split": {"columns": ["x"], "data": [[example]]}}
        (directory / "serving_input_example.json").write_text(json.dumps(body))
    return directory


def copied(source: Path, directory: Path) -> Path:
    """Copy a model directory, to break the copy."""
    return Path(shutil.copytree(source, directory))


def wine_rows(count: int) -> pd.DataFrame:
    """Real inputs for the classifier of wines."""
    features: pd.DataFrame = load_wine(return_X_y=True, as_frame=True)[0].head(count)
    return features


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    # MLflow's advice to authors of models is not about what is tested here.
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        yield
