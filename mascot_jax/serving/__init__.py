"""What a model is used for: predictions, lists, neighbours, new users and items."""
