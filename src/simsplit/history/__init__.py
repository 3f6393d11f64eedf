"""Where a history goes and where it is read from.

Import what is needed from its module: a run that writes no file loads nothing for it.
"""
