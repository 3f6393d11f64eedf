"""Histories: where they are written to and read from.

Import what is needed from its module: a run that writes no file loads nothing for it.
"""
