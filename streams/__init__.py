"""Live customer tags from event streams."""
