"""Problem files: from TOML and options to a problem, and back."""
