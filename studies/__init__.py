"""Pipelines that answer a question, on the stages and the library of this repository."""
