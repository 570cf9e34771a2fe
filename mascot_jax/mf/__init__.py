"""Matrix factorisation: from ratings to a model, and what it answers."""
