"""Weather observations for Foretell."""
