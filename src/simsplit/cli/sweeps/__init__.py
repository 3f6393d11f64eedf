"""The runs of a sweep on this machine."""
