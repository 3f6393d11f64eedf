"""One module for each file format of a history."""
