"""Programs with which the project builds and checks itself; each runs as `python -m tools.<name>`."""
