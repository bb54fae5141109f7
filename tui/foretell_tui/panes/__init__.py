"""One pane a file: what it shows, how it moves, what keys it takes. None of them knows Textual."""
