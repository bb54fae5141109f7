"""A view of a store that hands out recorded bytes alone."""

import pytest
from foretell.errors import StoreError
from foretell.store.checked import CheckedObjects, check
from foretell.store.objects import Stored
from foretell.testing.crash import watched


@pytest.fixture
def stored(objects):
    return objects.put("a", b"0123456789")


def test_expected_objects_are_read_once_and_checked(objects, stored):
    checked = CheckedObjects(objects)
    with watched() as log, checked.expecting({"a": stored}):
        assert checked.get("a") == b"0123456789"
        assert checked.get_range("a", 2, 3) == b"234"
        assert checked.get_range("a", -3, 3) == b"789"
        assert checked.get_range("a", 8, 99) == b"89"
    assert log.operations == [("get", "a")]
    objects.put("a", b"0123456780")
    assert checked.get("a") == b"0123456780", "nothing is expected any more"


@pytest.mark.parametrize("found", [b"", b"012345678", b"0123456788", b"01234567899"])
def test_other_bytes_are_refused(objects, stored, found):
    objects.put("a", found)
    checked = CheckedObjects(objects)
    with checked.expecting({"a": stored}):
        for read in (lambda: checked.get("a"), lambda: checked.get_range("a", -3, 3)):
            with pytest.raises(StoreError, match="not what was recorded") as caught:
                read()
            assert dict(caught.value.facts)["object"] == "a"


def test_expectations_nest(objects, stored):
    checked = CheckedObjects(objects)
    with checked.expecting({"a": stored}):
        with checked.expecting({"a": stored}):
            checked.get("a")
        objects.put("a", b"other")
        assert checked.get("a") == b"0123456789", "kept while somebody expects it"
    with checked.expecting({"a": stored}), pytest.raises(StoreError):
        checked.get("a")


def test_a_newer_expectation_drops_what_was_kept(objects, stored):
    checked = CheckedObjects(objects)
    with checked.expecting({"a": stored}):
        checked.get("a")
        newer = objects.put("a", b"newer")
        with checked.expecting({"a": newer}):
            assert checked.get("a") == b"newer"


def test_nothing_can_be_changed_through_it(objects, stored):
    checked = CheckedObjects(objects)
    for change in (
        lambda: checked.put("a", b""),
        lambda: checked.create("b", b""),
        lambda: checked.delete("a"),
        lambda: checked.taken("a"),
        checked.sweep,
        checked.ensure_root,
        checked.check_writable,
    ):
        with pytest.raises(StoreError, match="for reading"):
            change()
    assert list(checked.list()) == ["a"]
    assert checked.version("a") == objects.version("a")


def test_size_and_crc_are_named(stored):
    with pytest.raises(StoreError, match="10 bytes") as caught:
        check("a", b"1", stored)
    assert caught.value.slug == "store-size"
    with pytest.raises(StoreError, match=f"{stored.crc:08x}") as caught:
        check("a", b"0123456780", stored)
    assert caught.value.slug == "store-crc"
    check("a", b"0123456789", Stored(10, stored.crc))
