"""What the programs share: timing, data to train on, comparisons with targets, recorded results."""
