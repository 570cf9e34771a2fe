"""From ratings to a model: preparation, the loop over epochs, switching, checkpoints."""
