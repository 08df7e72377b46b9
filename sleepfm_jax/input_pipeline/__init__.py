"""From files to arrays: NumPy only, never imports JAX."""
