"""One module per format that ratings come in; each returns user, item, rating (and test)."""
