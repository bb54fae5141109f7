from foretell.fingerprint import differences


def test_equal_fingerprints_do_not_differ():
    assert differences({"a": "1", "b": "2"}, {"b": "2", "a": "1"}) == {}


def test_names_what_differs_with_both_values():
    stored, current = {"a": "1", "b": "2", "gone": "3"}, {"a": "1", "b": "9", "new": "4"}
    assert differences(stored, current) == {
        "b": ("2", "9"),
        "gone": ("3", ""),
        "new": ("", "4"),
    }


def test_times_are_decided_by_sampled_content():
    stored = {"files": "f", "modified": "monday", "sample": "s"}
    assert differences(stored, {**stored, "modified": "tuesday"}) == {}
    changed = {**stored, "modified": "tuesday", "sample": "t"}
    assert differences(stored, changed) == {"sample": ("s", "t")}


def test_times_decide_where_nothing_saw_the_bytes():
    assert list(differences({"modified": "1"}, {"modified": "2"})) == ["modified"]
    assert list(differences({"etag": "1"}, {"etag": "2"})) == ["etag"]


def test_all_bytes_decide_over_samples_and_tags():
    stored = {"etag": "1", "sample": "1", "modified": "1", "content": "c"}
    current = {"etag": "2", "sample": "2", "modified": "2", "content": "c"}
    assert differences(stored, current) == {}
    assert list(differences(stored, {**stored, "content": "d"})) == ["content"]


def test_a_hash_of_all_bytes_on_one_side_only_is_left_to_the_samples():
    stored = {"sample": "1", "modified": "1", "content": "c"}
    assert differences(stored, {"sample": "1", "modified": "2"}) == {}
    assert list(differences(stored, {"sample": "2", "modified": "2"})) == ["sample"]
    assert list(differences({"content": "c"}, {})) == ["content"]


def test_a_part_is_decided_by_those_with_its_prefix_alone():
    stored = {"source.modified": "1", "source.sample": "s", "model.modified": "1"}
    current = {"source.modified": "2", "source.sample": "s", "model.modified": "2"}
    assert list(differences(stored, current)) == ["model.modified"]


def test_another_size_is_never_excused():
    stored = {"files": "1 file, 10 B", "modified": "1", "sample": "s"}
    assert list(differences(stored, {**stored, "files": "1 file, 11 B"})) == ["files"]
