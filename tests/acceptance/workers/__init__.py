"""Programs that the acceptance tests run as processes of their own, to kill them."""
