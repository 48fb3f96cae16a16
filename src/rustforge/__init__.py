"""Cache, background jobs, responses, attachments and notifications for async Python backends."""

__all__ = ["__version__"]

__version__ = "0.1.0.dev0"
