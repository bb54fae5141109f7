"""A contract is worth what it catches: every planted fault is found by the test it is meant for."""

import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

PLANTED = Path(__file__).with_name("planted_parts.py")

FOUND_BY = {
    "TestHeavy": "test_constructing_it_imports_no_framework",
    "TestConstant": "test_fingerprint_follows_every_byte_of_the_checkpoint",
    "TestRestless": "test_fingerprint_is_stable_and_plain",
    "TestPerProcess": "test_a_fresh_process_rebuilds_it_from_plain_options",
    "TestMeansOverTheBatch": "test_filler_never_changes_a_row",
    "TestSorted": "test_rows_come_back_in_the_order_of_the_batch",
    "TestPlaces": "test_a_row_does_not_depend_on_its_place_or_its_neighbours",
    "TestDrops": "test_predictions_have_a_row_for_every_row_of_the_batch",
    "TestKeepsFiller": "test_postprocess_gives_the_real_rows_alone",
    "TestPromises": "test_specs_are_as_declared_and_the_same_for_every_batch",
    "TestReserved": "test_outputs_can_be_stored",
    "TestSwallowing": "test_an_error_of_the_model_comes_through",
    "TestOneBuffer": "test_batches_in_flight_come_back_as_launched",
    "TestRacing": "test_every_slot_may_launch_at_once",
    "TestClosesOnce": "test_it_can_be_closed_twice_and_deployed_again",
    "TestBlamesMemory": "test_out_of_memory_is_told_from_other_errors",
    "TestRaw": "test_a_model_that_cannot_be_loaded_is_a_load_error",
    "TestChoosy": "test_it_accepts_the_predictor",
    "TestLeavesThere": "test_collect_gives_host_arrays_with_every_row",
}
FAULTLESS = ("TestNoFault", "TestDeployerWithoutFault")


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """Names of the failed tests of every planted class."""
    report = tmp_path_factory.mktemp("planted") / "report.xml"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"]
    options = ["--import-mode=importlib", f"--junitxml={report}", f"--rootdir={PLANTED.parent}"]
    tests = [f"{PLANTED}::{planted}::{test}" for planted, test in FOUND_BY.items()]
    tests += [f"{PLANTED}::{faultless}" for faultless in FAULTLESS]
    done = subprocess.run(
        [*command, *options, "-c", "/dev/null", *tests],
        cwd=PLANTED.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    failed: dict[str, set[str]] = {}
    for case in ET.parse(report).iter("testcase"):
        names = failed.setdefault(case.attrib["classname"].rpartition(".")[2], set())
        if case.find("failure") is not None or case.find("error") is not None:
            names.add(case.attrib["name"])
    return failed


@pytest.mark.parametrize(("planted", "test"), FOUND_BY.items())
def test_a_planted_fault_is_found(outcomes, planted, test):
    assert outcomes[planted] == {test}


@pytest.mark.parametrize("faultless", FAULTLESS)
def test_parts_without_fault_pass(outcomes, faultless):
    assert outcomes[faultless] == set()
