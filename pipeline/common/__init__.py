"""What the stages share: how one runs, and where it keeps its files."""
