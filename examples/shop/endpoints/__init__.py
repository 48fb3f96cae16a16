"""The endpoints of webhooks, as staff manage them."""
