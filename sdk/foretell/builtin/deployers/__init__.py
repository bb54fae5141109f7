"""Deployers that come with Foretell."""
