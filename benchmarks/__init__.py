"""Programs that print figures; what they share is in ``harness``."""
