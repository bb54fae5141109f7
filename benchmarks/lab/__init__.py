"""What all benchmarks share: measured processes, interleaved rounds, data, tables."""
