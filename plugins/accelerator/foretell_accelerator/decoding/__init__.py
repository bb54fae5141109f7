"""Text generation: decoders as compiled programs, and the loop around them."""
