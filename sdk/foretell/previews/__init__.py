"""Small pictures of results: what a model wrote, as numbers, text, a table, an image, a line.

A preview is a plain value; who shows it (the dashboard, ``sdk show``, a report) draws it. Plugins
add their own with the hook ``register_previews``: a function
``preview(meta, block, width, height)`` that returns one of the values below, or None where it has
nothing to say about such an output. Those of this package are registered in the same way.
"""

from foretell.previews.values import (
    VIEWS,
    BlockMeta,
    Histogram,
    Image,
    Line,
    Numbers,
    Preview,
    Table,
    Text,
)

__all__ = [
    "VIEWS",
    "BlockMeta",
    "Histogram",
    "Image",
    "Line",
    "Numbers",
    "Preview",
    "Table",
    "Text",
]
