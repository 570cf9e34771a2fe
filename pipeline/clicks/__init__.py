"""Stages of the pipeline of click models, clicks/dvc.yaml."""
