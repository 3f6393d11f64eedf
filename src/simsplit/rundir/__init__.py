"""A run on disk: its folder, record, lock and checkpoints."""
