"""The demo: `python -m shop.demo` runs the shop, and plays the world around it."""
