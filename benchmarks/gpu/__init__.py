"""What training takes on one GPU, beside what its memory can do."""
