"""The tests of the shop. Some are shown by the cookbook."""
