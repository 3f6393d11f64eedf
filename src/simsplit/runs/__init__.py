"""Runs from beginning to end. All other parts meet here."""
