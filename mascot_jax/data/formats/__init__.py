"""Readers of ratings, one module per format; each returns user, item, rating (and test)."""
