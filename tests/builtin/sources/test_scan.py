"""The scanners against slow, obvious ones, over any way of cutting a file into blocks."""

import io

import numpy as np
import pyarrow as pa
import pyarrow.csv
from foretell.builtin.sources.scan import LineScanner, QuotedScanner
from hypothesis import given, settings
from hypothesis import strategies as st

LAW = settings(max_examples=400, deadline=None, derandomize=True, database=None)


def scan(scanner, data, cuts):
    starts, stops, lines = [], [], []
    ends = [*sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    begin = 0
    for i, end in enumerate(ends):
        found = scanner.feed(data[begin:end], last=i == len(ends) - 1)
        starts += found.starts.tolist()
        stops += found.stops.tolist()
        lines += found.lines.tolist()
        begin = end
    return list(zip(starts, stops, lines, strict=True))


def pieces(alphabet):
    return st.lists(st.sampled_from(alphabet), max_size=40).map(b"".join)


CUTS = st.lists(st.integers(0, 200), max_size=6)


@LAW
@given(pieces([b"a", b"{}", b"\n", b"\r", b"\r\n", b" ", b"\t", b"\n\n"]), CUTS)
def test_lines_that_are_not_blank(data, cuts):
    expected, at = [], 0
    for number, line in enumerate(data.split(b"\n")):
        if line.strip():
            expected.append((at, at + len(line), number))
        at += len(line) + 1
    assert scan(LineScanner(), data, cuts) == expected


def records(data, quote=b'"', delimiter=b","):
    """RFC 4180, one byte after the other."""
    found, start, line, start_line = [], 0, 0, 0
    inside, field_begins, i = False, True, 0
    while i < len(data):
        byte = data[i : i + 1]
        ends = byte == b"\n" or (byte == b"\r" and data[i + 1 : i + 2] != b"\n")
        line += ends
        if inside:
            if byte == quote and data[i + 1 : i + 2] == quote:
                i += 1
            elif byte == quote:
                inside = False
        elif byte == quote and field_begins:
            inside, field_begins = True, False
        elif ends:
            if data[start:i].strip(b"\r"):
                found.append((start, i, start_line))
            start, start_line, field_begins = i + 1, line, True
            i += 1
            continue
        else:
            field_begins = byte == delimiter
        i += 1
    if start < len(data):
        found.append((start, len(data), start_line))
    return found, inside


CSV = pieces(
    [b"a", b",", b'"', b'""', b'"b"', b',"', b'",', b"\n", b"\r\n", b"\r", b"x\ny", b'"\n']
)


@LAW
@given(CSV, CUTS)
def test_records_with_quotes_anywhere(data, cuts):
    expected, inside = records(data)
    scanner = QuotedScanner(0, ord(","), ord('"'))
    assert scan(scanner, data, cuts) == expected
    assert scanner.open_quote == inside


@LAW
@given(CSV, CUTS)
def test_without_quoting_every_line_is_a_record(data, cuts):
    expected, _ = records(data, quote=b"\0")
    assert scan(QuotedScanner(0, ord(","), None), data, cuts) == expected


@LAW
@given(CSV)
def test_arrow_sees_the_same_records(data):
    """The rows that are indexed are the rows the parser finds, good and bad together."""
    expected, inside = records(data)
    if not expected or inside:
        return
    bad = []

    def skip(row):
        bad.append(row.number)
        return "skip"

    table = pa.csv.read_csv(
        io.BytesIO(data),
        read_options=pa.csv.ReadOptions(
            column_names=["a", "b"], use_threads=False, block_size=len(data) + 1
        ),
        parse_options=pa.csv.ParseOptions(newlines_in_values=True, invalid_row_handler=skip),
        convert_options=pa.csv.ConvertOptions(column_types={"a": pa.string(), "b": pa.string()}),
    )
    assert table.num_rows + len(bad) == len(expected)


def test_offsets_count_from_where_the_data_begins():
    scanner = LineScanner(3)
    found = scanner.feed(b"ab\n\ncd", last=True)
    assert found.starts.tolist() == [3, 7]
    assert found.lines.tolist() == [0, 2]


def test_a_line_of_many_blocks_takes_no_memory_but_its_block():
    scanner = LineScanner()
    for _ in range(50):
        assert len(scanner.feed(b"x" * 1000, last=False).starts) == 0
    found = scanner.feed(b"\ny", last=True)
    assert found.starts.tolist() == [0, 50_001]
    assert found.starts.dtype == np.int64
