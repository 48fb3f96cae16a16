"""Job queues measured side by side: Rustforge, and its peers, each in an environment of its own."""
