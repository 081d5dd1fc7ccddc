"""Training: crops of the store, the loop, its log, checkpoints and pictures."""
