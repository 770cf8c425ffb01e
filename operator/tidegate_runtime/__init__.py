"""The model server: serves one version of an MLflow model and says how it goes."""
