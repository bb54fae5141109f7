"""Settings that decide how processes share their work, before JAX is imported."""

from __future__ import annotations

import pytest
from foretell.errors import ConfigError, LoadError
from foretell_jax.buckets import bucket_for, bucket_sizes
from foretell_jax.distributed import first_host, slurm_place
from foretell_jax.needs import need
from foretell_jax.options import JaxDeployerOptions
from foretell_jax.runner import JaxDeployer, check_shares, local_buckets
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("settings", "rows"),
    [
        ({}, "split"),
        ({"processes": 2}, "split"),
        ({"processes": 2, "mesh": {"dp": 4, "mp": 2}}, "split"),
        ({"processes": 2, "mesh": {"mp": 2}}, "split"),
        ({"processes": 2, "mesh": {"dp": 1, "mp": 8}}, "same"),
    ],
)
def test_how_a_group_shares_its_rows(settings, rows):
    deployer = JaxDeployer(JaxDeployerOptions(**settings))
    assert deployer.group_rows == rows
    assert deployer.group_size == settings.get("processes", 1)


def test_shards_over_processes_leave_no_rows_to_split():
    options = JaxDeployerOptions(processes=4, mesh={"dp": 2, "mp": 4})
    with pytest.raises(ConfigError, match="span processes leave no rows"):
        JaxDeployer(options)


def test_a_mesh_that_turns_out_otherwise_is_refused_not_guessed():
    check_shares("split", {"dp": 4, "mp": 2}, 2)
    check_shares("same", {"dp": 1, "mp": 8}, 2)
    with pytest.raises(ConfigError) as caught:
        check_shares("split", {"dp": 1, "mp": 8}, 2)
    assert caught.value.tries[0][0] == "mesh = { dp = 1, mp = 8 }"


@given(st.integers(1, 5000), st.integers(1, 16))
def test_buckets_hold_a_batch_and_its_halves_and_are_few(batch, shares):
    sizes = bucket_sizes(batch, shares)
    assert all(size % shares == 0 for size in sizes)
    assert len(sizes) <= batch.bit_length()
    half = batch
    while half:
        assert half <= bucket_for(half, sizes) < half + shares
        half //= 2


def test_buckets_that_do_not_fit_are_refused():
    for declared in ([6], [4], []):
        with pytest.raises(ConfigError):
            bucket_sizes(8, 4, declared)
    assert bucket_sizes(8, 4, [16, 8, 8]) == (8, 16)
    with pytest.raises(ConfigError):
        bucket_for(17, (8, 16))
    with pytest.raises(ConfigError, match="processes that share it"):
        local_buckets(JaxDeployerOptions(buckets=(9,)), 2)


@pytest.mark.parametrize(
    ("nodes", "first"),
    [("n1", "n1"), ("a,b", "a"), ("n[03-05,9]", "n03"), ("gpu[7]-ib,x", "gpu7-ib")],
)
def test_the_first_host_of_a_node_list(nodes, first):
    assert first_host(nodes) == first


def test_slurm_says_where_a_process_stands(monkeypatch):
    for name in ("SLURM_NTASKS", "SLURM_PROCID", "SLURM_JOB_NUM_NODES", "SLURM_STEP_NODELIST"):
        monkeypatch.delenv(name, raising=False)
    assert slurm_place() is None
    monkeypatch.setenv("SLURM_JOB_NUM_NODES", "4")
    monkeypatch.setenv("SLURM_NODEID", "2")
    monkeypatch.setenv("SLURM_JOB_NODELIST", "n[3-6]")
    assert slurm_place() == (4, 2, "n3")


def test_a_missing_jax_names_the_extra(monkeypatch):
    def without(name):
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr("foretell.frameworks.importlib.import_module", without)
    with pytest.raises(LoadError, match="jax cannot be imported") as caught:
        need("jax", "a test")
    assert caught.value.tries == (("pip install 'foretell[jax]'", "brings it"),)
