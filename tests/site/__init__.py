"""Tests of the documentation: the built site in a browser, the code it shows, and the tools that make it."""
