"""The main job, live: a model registered in MLflow takes over traffic in steps, and bad ones are thrown out."""
