"""One training loop for every task: mesh, state, step, optimisers, checkpoints, loggers."""
