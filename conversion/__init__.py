"""PyTorch checkpoints in and out: one table of names, a reference model, a parity report."""
