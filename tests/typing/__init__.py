"""What type checkers must say: checked by mypy and pyright, never run."""
