"""Articles: read by everybody, written by staff."""
