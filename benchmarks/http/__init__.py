"""Responses: what `install` costs a request, and the envelope beside FastAPI's own response model."""
