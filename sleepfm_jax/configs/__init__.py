"""What to run and how big: ml_collections files, each docstring with its command."""
