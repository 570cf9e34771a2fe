"""What a method adds to an epoch: a state, and functions of it."""
