import json
import pickle
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
import zarr
from foretell.builtin.sources.zarr import ZarrOptions, ZarrSource
from foretell.builtin.sources.zarr_column import ZarrColumn
from foretell.errors import LoadError
from foretell.fingerprint import differences
from pydantic import ValidationError

VALUES = np.arange(100, dtype="int32").reshape(50, 2)


def source(path: Path | str, **settings: Any) -> ZarrSource:
    return ZarrSource(ZarrOptions(path=str(path), **settings))


def rows(source: ZarrSource, start: int = 0, stop: int | None = None) -> Any:
    return source.read(start, len(source) if stop is None else stop).examples


def create(path: Path, **settings: Any) -> Any:
    settings = {"chunks": (8, 2), **settings}
    array = zarr.create_array(str(path), shape=VALUES.shape, dtype=VALUES.dtype, **settings)
    array[:] = VALUES
    return array


@pytest.fixture
def group(tmp_path):
    path = tmp_path / "x.zarr"
    zarr.open_group(str(path), mode="w")
    create(path / "rgb")
    create(path / "mask")
    return path


# --- opening --------------------------------------------------------------------------------------


def test_the_array_is_the_path_or_is_named(group):
    assert (rows(source(group / "rgb")) == VALUES).all()
    assert (rows(source(group, array="rgb")) == VALUES).all()
    assert source(group / "rgb").locate(3) == "x.zarr/rgb[3]"
    assert source(group, array="rgb").locate(3) == "x.zarr/rgb[3]"
    assert source(group, arrays=("rgb", "mask")).locate(3) == "x.zarr[3]"


def test_the_only_array_of_a_group_needs_no_name(tmp_path):
    zarr.open_group(str(tmp_path / "x.zarr"), mode="w")
    create(tmp_path / "x.zarr" / "only")
    assert source(tmp_path / "x.zarr").locate(0) == "x.zarr/only[0]"


def test_a_group_with_several_arrays_lists_them(group):
    with pytest.raises(LoadError) as caught:
        source(group)
    assert str(caught.value) == (
        "error[source-array]: the group holds several arrays\n"
        "  arrays    mask int32 (50, 2)\n"
        "            rgb int32 (50, 2)\n"
        f'  setting   source.path = "{group}"\n'
        '  try       --set source.array="mask"\n'
        '            --set source.array="rgb"'
    )


def test_an_unknown_array_is_told_from_the_known(group):
    with pytest.raises(LoadError, match="no such array") as caught:
        source(group, array="rbg")
    assert ("arrays", "mask, rgb") in caught.value.facts
    assert ('--set source.array="rgb"', "") in caught.value.tries
    with pytest.raises(LoadError, match="no Zarr array can be opened here"):
        source(group, array="../x.zarr/rgb")


def test_what_is_not_zarr_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(LoadError, match="no Zarr array can be opened here"):
        source(tmp_path / "file")
    with pytest.raises(LoadError, match="no Zarr array can be opened here"):
        source(tmp_path)
    with pytest.raises(LoadError, match="does not exist"):
        source(tmp_path / "nothing.zarr")
    (tmp_path / "zarr.json").write_text("{")
    with pytest.raises(LoadError, match="no Zarr array can be opened here"):
        source(tmp_path)


def test_arrays_must_have_rows_and_equally_many(tmp_path):
    zarr.open_group(str(tmp_path / "x.zarr"), mode="w")
    create(tmp_path / "x.zarr" / "long")
    zarr.create_array(str(tmp_path / "x.zarr" / "short"), shape=(4,), dtype="f4")
    zarr.create_array(str(tmp_path / "x.zarr" / "point"), shape=(), dtype="f4")
    with pytest.raises(LoadError, match="different numbers of rows"):
        source(tmp_path / "x.zarr", arrays=("long", "short"))
    with pytest.raises(LoadError, match="without an axis"):
        source(tmp_path / "x.zarr", array="point")
    with pytest.raises(ValidationError, match="not both"):
        source(tmp_path / "x.zarr", array="long", arrays=("short",))


# --- codecs ---------------------------------------------------------------------------------------


class Bomb:
    def __reduce__(self) -> Any:
        return (pytest.fail, ("the data ran code",))


def test_a_pickle_in_place_of_a_compressor_is_never_loaded(tmp_path):
    path = tmp_path / "x.zarr"
    create(path, zarr_format=2)
    document = json.loads((path / ".zarray").read_text())
    (path / ".zarray").write_text(json.dumps({**document, "compressor": {"id": "pickle"}}))
    for file in path.glob("[0-9]*"):
        file.write_bytes(pickle.dumps(Bomb()))
    for trusted in ((), ("pickle",)):
        with pytest.raises(LoadError):
            source(path, codecs=trusted)


def test_codecs_inside_shards_are_looked_at(tmp_path, monkeypatch):
    from foretell.builtin.sources import zarr_open

    create(tmp_path / "x.zarr", shards=(16, 2))
    monkeypatch.setattr(zarr_open, "CODECS", zarr_open.CODECS - {"zstd"})
    with pytest.raises(LoadError, match="a codec that is not decoded") as caught:
        source(tmp_path / "x.zarr")
    assert ("codec", "zstd") in caught.value.facts
    assert (rows(source(tmp_path / "x.zarr", codecs=("zstd",))) == VALUES).all()


def test_an_unknown_codec_is_refused(tmp_path):
    create(tmp_path / "x.zarr")
    document = json.loads((tmp_path / "x.zarr" / "zarr.json").read_text())
    document["codecs"].append({"name": "made-up", "configuration": {}})
    (tmp_path / "x.zarr" / "zarr.json").write_text(json.dumps(document))
    with pytest.raises(LoadError, match="no Zarr array can be opened here") as caught:
        source(tmp_path / "x.zarr")
    assert "made-up" in dict(caught.value.facts)["reason"]


# --- damage ---------------------------------------------------------------------------------------


def test_a_block_that_is_not_stored_holds_fill_values(tmp_path):
    create(tmp_path / "x.zarr", fill_value=-1)
    (tmp_path / "x.zarr" / "c" / "1" / "0").unlink()
    read = source(tmp_path / "x.zarr").read(6, 18)
    assert read.errors == ()
    expected = VALUES[6:18].copy()
    expected[2:10] = -1
    assert np.array_equal(np.asarray(read.examples), expected)


@pytest.mark.parametrize("shards", [None, (16, 2)])
def test_a_damaged_block_costs_its_own_rows_alone(tmp_path, shards):
    create(tmp_path / "x.zarr", shards=shards)
    stored = tmp_path / "x.zarr" / "c" / "1" / "0"
    data = bytearray(stored.read_bytes())
    data[: len(data) // 3] = bytes(len(data) // 3)
    stored.write_bytes(data)
    opened = source(tmp_path / "x.zarr")
    read = opened.read(3, 45)
    bad = {error.row for error in read.errors}
    first, last = (8, 16) if shards is None else (16, 32)
    assert bad
    assert bad <= set(range(first, last))
    assert {row // 8 for row in bad} == {row // 8 for row in bad if row + 1 in bad or row % 8 == 7}
    for row, values in zip(range(3, 45), np.asarray(read.examples), strict=True):
        assert values.tolist() == ([0, 0] if row in bad else VALUES[row].tolist())
    assert "cannot be decoded" in read.errors[0].message
    assert read.errors[0].locator == opened.locate(read.errors[0].row)


def test_an_empty_shard_is_damage_and_not_fill_values(tmp_path):
    create(tmp_path / "x.zarr", shards=(16, 2))
    (tmp_path / "x.zarr" / "c" / "1" / "0").write_bytes(b"")
    read = source(tmp_path / "x.zarr").read(0, 50)
    assert [error.row for error in read.errors] == list(range(16, 32))
    assert "the stored shard c/1/0 is empty" in read.errors[0].message


def test_in_columns_a_row_is_bad_when_any_array_is(group):
    (group / "mask" / "c" / "0" / "0").write_bytes(b"short")
    opened = source(group, arrays=("rgb", "mask"))
    read = opened.read(0, 20)
    assert [error.row for error in read.errors] == list(range(8))
    columns: Any = read.examples
    assert (columns["rgb"] == VALUES[:20]).all()
    assert (columns["mask"][8:] == VALUES[8:20]).all()


def test_failures_of_the_storage_are_raised(tmp_path, monkeypatch):
    create(tmp_path / "x.zarr")
    opened = source(tmp_path / "x.zarr")

    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(ZarrColumn, "_decode", fail)
    with pytest.raises(OSError, match="Input/output error"):
        opened.read(0, 10)


def test_an_array_that_is_resized_while_a_run_lasts_is_an_error(tmp_path):
    array = create(tmp_path / "x.zarr")
    opened = source(tmp_path / "x.zarr")
    array.attrs["note"] = "harmless"
    assert (rows(opened) == VALUES).all()
    array.resize((60, 2))
    with pytest.raises(LoadError, match="changed while it was being read") as caught:
        opened.read(0, 10)
    assert ("change", "int32 (50, 2) is now int32 (60, 2)") in caught.value.facts


# --- decoding -------------------------------------------------------------------------------------


def test_neighbouring_ranges_decode_a_block_once(tmp_path, monkeypatch):
    create(tmp_path / "x.zarr")
    opened = source(tmp_path / "x.zarr")
    decoded: list[tuple[int, int]] = []
    plain = ZarrColumn._decode

    def count(self: ZarrColumn, start: int, stop: int) -> np.ndarray:
        decoded.extend((i, i + 8) for i in range(start, stop, 8))
        return plain(self, start, stop)

    monkeypatch.setattr(ZarrColumn, "_decode", count)
    for start in range(0, 50, 5):
        assert (rows(opened, start, min(start + 5, 50)) == VALUES[start : start + 5]).all()
    assert sorted(decoded) == [(i, i + 8) for i in range(0, 50, 8)]


@pytest.mark.parametrize("version", [2, 3])
def test_text_comes_as_objects_and_times_as_times(tmp_path, version):
    texts = np.array(["", "naïve\n", "日本"], dtype=object)
    days = np.arange(3).astype("datetime64[D]")
    group = zarr.open_group(str(tmp_path / "x.zarr"), mode="w", zarr_format=version)
    with warnings.catch_warnings():
        # Times are not in the specification of version 3 yet, and zarr says so.
        warnings.simplefilter("ignore")
        group.create_array("text", shape=(3,), dtype="str", chunks=(2,))[:] = texts
        group.create_array("day", shape=(3,), dtype="M8[D]", chunks=(2,))[:] = days
        text = source(tmp_path / "x.zarr", array="text")
        day = source(tmp_path / "x.zarr", array="day")
    assert (text.spec.dtype, day.spec.dtype) == ("str", "datetime64[D]")
    assert rows(text).dtype == object
    assert rows(text).tolist() == texts.tolist()
    assert (rows(day, 1, 3) == days[1:]).all()


def test_numbers_of_the_other_byte_order_come_in_ours(tmp_path):
    array = zarr.create_array(
        str(tmp_path / "y.zarr"), shape=(5,), dtype=">i2", chunks=(2,), zarr_format=2
    )
    array[:] = np.arange(5)
    opened = source(tmp_path / "y.zarr")
    assert opened.spec.dtype == "int16"
    assert rows(opened).dtype == np.dtype("int16")
    assert rows(opened, 1, 4).tolist() == [1, 2, 3]


# --- coordinates and identity ---------------------------------------------------------------------


@pytest.mark.parametrize("version", [2, 3])
def test_reads_coordinates_that_xarray_wrote(tmp_path, version):
    data = xr.DataArray(
        VALUES,
        dims=("time", "band"),
        coords={
            "time": np.arange(50) * 10,
            "band": [1, 2],
            "station": ("time", np.arange(50) % 7),
        },
        name="rgb",
    )
    data.to_dataset().to_zarr(tmp_path / "x.zarr", zarr_format=version, consolidated=False)
    opened = source(tmp_path / "x.zarr", array="rgb")
    assert {name: values.tolist() for name, values in opened.coords().items()} == {
        "time": [i * 10 for i in range(50)],
        "station": [i % 7 for i in range(50)],
    }
    assert source(tmp_path / "x.zarr" / "rgb").coords().keys() == {"time", "station"}


def test_only_the_arrays_that_are_read_count(group):
    before = source(group, array="rgb").fingerprint()
    zarr.open_array(str(group / "mask"), mode="r+")[0] = 99
    assert source(group, array="rgb").fingerprint() == before
    assert source(group, array="mask").fingerprint() != before


def test_attributes_do_not_count_and_another_dtype_does(group):
    before = source(group, array="rgb").fingerprint()
    zarr.open_array(str(group / "rgb"), mode="r+").attrs["note"] = "written later"
    assert source(group, array="rgb").fingerprint() == before
    document = json.loads((group / "rgb" / "zarr.json").read_text())
    (group / "rgb" / "zarr.json").write_text(json.dumps({**document, "data_type": "uint32"}))
    assert source(group, array="rgb").fingerprint()["metadata"] != before["metadata"]


# --- the store of an earlier run ------------------------------------------------------------------


@pytest.fixture
def run_store(tmp_path):
    """A run store with one output: ten rows done, five set aside, the others never reached."""
    path = tmp_path / "run.zarr"
    zarr.create_group(str(path), attributes={"foretell": {"complete": False}})
    create(path / "logits")
    valid = zarr.create_array(str(path / "valid"), shape=(50,), chunks=(8,), dtype="u1")
    valid[:10], valid[10:15] = 1, 2
    (path / "_run").mkdir()
    return path


def test_rows_that_a_run_did_not_predict_are_errors_and_not_zeros(run_store):
    opened = source(run_store)
    assert opened.locate(0) == "run.zarr/logits[0]"
    read = opened.read(7, 18)
    assert [(error.row, error.message.rpartition(" has ")[2]) for error in read.errors[5:]] == [
        (row, "not predicted this row") for row in (15, 16, 17)
    ]
    assert [error.row for error in read.errors] == list(range(10, 18))
    assert read.errors[0].message == "the run that wrote this array set this row aside"
    assert (np.asarray(read.examples) == VALUES[7:18]).all()
    assert [e.row for e in source(run_store / "logits").read(0, 50).errors] == list(range(10, 50))


def test_the_rows_that_are_predictions_belong_to_the_identity_of_a_run_store(run_store):
    before = source(run_store).fingerprint()
    (run_store / "_run" / "head.json").write_text("{}")
    assert source(run_store).fingerprint() == before
    zarr.open_array(str(run_store / "valid"), mode="r+")[20] = 1
    assert differences(before, source(run_store).fingerprint())


def test_which_rows_are_valid_can_itself_be_read(run_store):
    read = source(run_store, array="valid").read(8, 12)
    assert np.asarray(read.examples).tolist() == [1, 1, 2, 2]
    assert read.errors == ()
