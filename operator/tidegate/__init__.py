"""Tidegate: rolls out MLflow model versions by weight and takes bad ones off traffic."""

#: The release: that of pyproject.toml and of the chart.
VERSION = "0.1.0"
