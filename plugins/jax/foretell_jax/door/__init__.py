"""The names of redco, for Python code that comes from there."""
