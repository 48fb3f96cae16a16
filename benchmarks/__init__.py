"""Rustforge measured beside its peers: `make bench` runs everything, keeps the results and draws them for the site."""
