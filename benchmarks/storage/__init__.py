"""Storage and attachments: large uploads, and images that are made smaller."""
