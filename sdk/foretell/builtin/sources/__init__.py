"""The sources that come with Foretell. Each module imports its library only when it is used."""
