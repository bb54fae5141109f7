"""One small file for each target."""
