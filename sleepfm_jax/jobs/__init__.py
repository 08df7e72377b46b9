"""Work over many recordings, resumable, on one core, one machine or a cluster."""
