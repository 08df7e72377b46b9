"""Flax NNX modules: shapes in, shapes out; nothing here knows of files."""
