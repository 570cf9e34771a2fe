"""Modules that the stages share: running a stage, file paths and hardware."""
