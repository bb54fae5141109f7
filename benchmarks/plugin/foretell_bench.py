"""The benchmarks' plugin; light, because every ``sdk`` command loads it."""

from foretell import Entry, hookimpl


@hookimpl
def register_writers():
    """A writer that stores nothing."""
    return [Entry("nothing", "stores nothing", "foretell_bench_writer:NothingWriter")]
