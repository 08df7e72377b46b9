"""Numbers out of predictions: retrieval and probes; no model inside."""
