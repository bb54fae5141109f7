"""What all benchmarks share: measured processes, interleaved rounds, data, tables."""

import sys
from pathlib import Path

# The benchmarks' own writer, for what happens in this process; others get it by PYTHONPATH.
sys.path.insert(0, str(Path(__file__).parents[1] / "plugin"))
