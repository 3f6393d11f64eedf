"""A run from beginning to end: the one place where all parts are put together."""
