"""What is measured of job queues: one module for each topic."""
