"""Predictors that come with Foretell."""
