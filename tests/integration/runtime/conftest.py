"""MLflow's pyfunc warns about its own type hints while it is imported; here nobody can act on that."""

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import mlflow.pyfunc
    import mlflow.sklearn

__all__ = ["mlflow"]
