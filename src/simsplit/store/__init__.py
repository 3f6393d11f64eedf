"""Where a history goes and an array comes from: memory on root, ``.npy`` files.

Import what is needed from its module: a run that writes no file loads nothing for it.
"""
