"""Monitoring of a run: progress, stop requests, the hang watchdog.

Import what is needed from its module: a run that needs none of it loads nothing for it.
"""
