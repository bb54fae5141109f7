"""A stand-in for SambaNova's package: the calls its tutorial shows, on the CPU."""
