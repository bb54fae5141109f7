"""The source of this plugin under Foretell's own contract."""

import pytest
from foretell.testing import SourceContract
from foretell_weather.source import ObservationOptions, ObservationSource


class TestSource(SourceContract):
    @pytest.fixture
    def options(self, tmp_path):
        lines = [
            f"S{i % 7} 2026-01-01T{i % 24:02} {i - 20} {1000 + i} {50 + i % 40}\n"
            for i in range(50)
        ]
        lines[3] += "# a comment between two observations\n\n"
        lines[17] = "S3 2026-01-01T17 not-a-number 1000 50\n"
        (tmp_path / "small.obs").write_text("# header\n" + "".join(lines).rstrip("\n"))
        return ObservationOptions(path="small.obs").at(tmp_path)

    @pytest.fixture
    def source(self, options):
        return ObservationSource.from_options(options)
