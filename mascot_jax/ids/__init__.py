"""What users and items are called, and the index of each."""
