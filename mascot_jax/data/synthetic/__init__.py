"""Synthetic ratings whose lowest possible RMSE is known."""
