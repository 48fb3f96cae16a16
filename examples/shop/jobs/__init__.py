"""What runs later, in a worker."""
