"""Tidegate: rolls out MLflow model versions by weight and takes bad ones off traffic."""
