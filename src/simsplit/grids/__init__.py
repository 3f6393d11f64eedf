"""Grids: their shape, coordinates and boundaries."""
