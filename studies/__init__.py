"""Pipelines that answer a question, on the same code as the default one."""
