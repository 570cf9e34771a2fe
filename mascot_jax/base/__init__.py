"""What every room builds on: files, JSON, arrays. No JAX, no polars."""
