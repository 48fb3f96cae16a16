"""Orders: placed once, and told of to everybody whom they concern."""
