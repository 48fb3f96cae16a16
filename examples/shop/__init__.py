"""A shop: articles to read, orders to place. The cookbook builds it."""
