"""Best items and nearest rows, from arrays alone."""
