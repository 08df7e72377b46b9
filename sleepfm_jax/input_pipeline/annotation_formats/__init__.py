"""How sleep laboratories and archives write down stages and events: one file a format."""
