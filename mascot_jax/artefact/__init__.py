"""The trained model and its file: factors in their storages, ids, what was seen."""
