"""The paper's evaluation, measured again: section IV and figures 1, 4 and 5."""
