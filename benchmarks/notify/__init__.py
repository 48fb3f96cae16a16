"""Notifications: one event fanned out to many webhook endpoints, and many browsers that listen."""
