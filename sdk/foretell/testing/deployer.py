"""The contract every deployer keeps, as tests."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

import pytest

from foretell import rows as rowops
from foretell.abc import DeployContext, Deployer, Deployment, Predictor, ServiceCaller
from foretell.errors import LoadError
from foretell.imports import load_object
from foretell.outputs import select, to_host, to_outputs
from foretell.testing import fresh
from foretell.testing.batches import (
    InProcessServices,
    assert_same,
    finish,
    make_batch,
    run_batch,
)
from foretell.types import Arrays, Batch, Examples

CPUS = 4
"""Cores the kit says there are, when it asks for slots and threads."""


class PlantedError(Exception):
    """Raised by the kit's failing predictor, to see whether it comes through."""


class DeployerContract:
    """Subclass it, name the class, and supply three fixtures.

    * ``options``: settings of the deployer.
    * ``predictor``: a predictor it accepts, not yet loaded.
    * ``examples``: at least ``4 * batch_size`` usable rows, not all alike.
    * ``failing_predictor``: only when ``predict`` is not called in this process; by default the
      ``predictor`` with a ``predict`` that raises :class:`PlantedError`.
    * ``out_of_memory``: errors of the device that mean so, beside :class:`MemoryError`.

    A deployer of groups (``group_size`` above 1) is only tested as far as one process goes.

    Attributes:
        deployer_class: The class under test, defined at the top of an importable module.
        batch_size: Rows of every batch.
        rtol, atol: Tolerance for float outputs of one batch computed twice.
        heavy: Modules that constructing the deployer must not import, beside the usual ones.
        deadline: Seconds after which a launch or collect counts as hung.
    """

    deployer_class: ClassVar[type[Deployer]]
    batch_size: ClassVar[int] = 8
    rtol: ClassVar[float] = 0.0
    atol: ClassVar[float] = 0.0
    heavy: ClassVar[tuple[str, ...]] = ()
    deadline: ClassVar[float] = 60.0

    @pytest.fixture
    def options(self) -> Any:
        pytest.fail("supply a fixture `options`")

    @pytest.fixture
    def predictor(self) -> Predictor:
        pytest.fail("supply a fixture `predictor`")

    @pytest.fixture
    def examples(self) -> Examples:
        pytest.fail("supply a fixture `examples`")

    @pytest.fixture
    def deployer(self, options: Any) -> Deployer:
        return self.deployer_class.from_options(options)

    @pytest.fixture
    def services(self, deployer: Deployer, predictor: Predictor) -> ServiceCaller | None:
        """The deployer's services, living in this process."""
        made = {
            spec.name: load_object(spec.factory, ".")(**spec.options)
            for spec in deployer.services(predictor)
        }
        return InProcessServices(made) if made else None

    @pytest.fixture
    def context(self, deployer: Deployer, services: ServiceCaller | None) -> DeployContext:
        slots = deployer.slots(CPUS)
        threads = deployer.threads(CPUS, slots)
        return DeployContext(self.batch_size, slots, threads, services=services)

    @pytest.fixture
    def deployment(
        self, deployer: Deployer, predictor: Predictor, context: DeployContext
    ) -> Iterator[Deployment]:
        if deployer.group_size != 1:
            pytest.skip("a group cannot be deployed in one process")
        deployment = deployer.deploy(predictor, context)
        yield deployment
        deployment.close()

    @pytest.fixture
    def failing_predictor(self, predictor: Predictor) -> Predictor:
        return _overridden(predictor, predict=_planted)

    @pytest.fixture
    def out_of_memory(self) -> list[BaseException]:
        return []

    @pytest.fixture
    def batches(self, predictor: Predictor, deployment: Deployment, examples: Examples) -> Any:
        """Four different batches. Made after deploying: a collate may need what was loaded."""
        size = self.batch_size
        assert rowops.count(examples) >= 4 * size, "`examples` has fewer than 4 * batch_size rows"
        starts = range(0, 4 * size, size)
        return [make_batch(predictor, examples, range(at, at + size)) for at in starts]

    @pytest.fixture
    def expected(
        self, predictor: Predictor, deployment: Deployment, batches: list[Batch]
    ) -> list[Arrays]:
        """Outputs of each batch, run one after the other."""
        first = run_batch(predictor, deployment, batches[0])
        return [first, *(run_batch(predictor, deployment, batch, first) for batch in batches[1:])]

    # --- building ----------------------------------------------------------------------------

    def test_it_accepts_the_predictor(self, deployer: Deployer, predictor: Predictor) -> None:
        assert predictor.model_kind in deployer.accepts

    def test_a_fresh_process_rebuilds_it_without_its_framework(self, options: Any) -> None:
        assert fresh.rebuild(self.deployer_class, options, None, self.heavy).imported == ()

    def test_it_says_how_much_runs_at_once(self, deployer: Deployer) -> None:
        for cpus in (1, 2, 64):
            slots = deployer.slots(cpus)
            assert slots >= 1
            assert deployer.threads(cpus, slots) >= 1
        assert deployer.group_size >= 1
        assert deployer.group_rows in ("split", "same")

    def test_services_are_plain_and_can_be_found(
        self, deployer: Deployer, predictor: Predictor
    ) -> None:
        specs = list(deployer.services(predictor))
        assert len({spec.name for spec in specs}) == len(specs)
        for spec in specs:
            assert callable(load_object(spec.factory, "."))
            json.dumps(dict(spec.options))
            assert spec.memory >= 0
        assert deployer.service_memory is None or deployer.service_memory > 0

    # --- running batches ---------------------------------------------------------------------

    def test_collect_gives_host_arrays_with_every_row(
        self, deployment: Deployment, batches: list[Batch]
    ) -> None:
        predictions = deployment.collect(deployment.launch(batches[0]))
        select(predictions, batches[0].mask)
        assert _is_host(predictions)

    def test_a_batch_computed_again_is_the_same(
        self,
        predictor: Predictor,
        deployment: Deployment,
        batches: list[Batch],
        expected: list[Arrays],
    ) -> None:
        for batch, outputs in zip(reversed(batches), reversed(expected), strict=True):
            again = run_batch(predictor, deployment, batch, outputs)
            assert_same(again, outputs, self.rtol, self.atol)

    def test_batches_in_flight_come_back_as_launched(
        self,
        predictor: Predictor,
        deployment: Deployment,
        batches: list[Batch],
        expected: list[Arrays],
    ) -> None:
        assert deployment.max_in_flight >= 1
        for depth in range(1, min(deployment.max_in_flight, len(batches)) + 1):
            handles = [deployment.launch(batch) for batch in batches[:depth]]
            for at, handle in enumerate(handles):
                predictions = deployment.collect(handle)
                outputs = finish(predictor, predictions, batches[at].mask, expected[at])
                assert_same(outputs, expected[at], self.rtol, self.atol)

    def test_every_slot_may_launch_at_once(
        self,
        predictor: Predictor,
        deployment: Deployment,
        context: DeployContext,
        batches: list[Batch],
        expected: list[Arrays],
    ) -> None:
        together = threading.Barrier(context.slots, timeout=self.deadline)

        def work(slot: int) -> None:
            try:
                for at in range(8):
                    which = (slot + at) % len(batches)
                    together.wait()
                    like = expected[which]
                    outputs = run_batch(predictor, deployment, batches[which], like)
                    assert_same(outputs, like, self.rtol, self.atol)
            except BaseException:
                together.abort()
                raise

        with ThreadPoolExecutor(context.slots) as pool:
            futures = [pool.submit(work, slot) for slot in range(context.slots)]
            errors = [future.exception(timeout=self.deadline) for future in futures]
        # Slots that only waited for one that failed say nothing of use.
        causes = [e for e in errors if e and not isinstance(e, threading.BrokenBarrierError)]
        for error in [*causes, *errors]:
            if error is not None:
                raise error

    # --- when it goes wrong ------------------------------------------------------------------

    def test_an_error_of_the_model_comes_through(
        self,
        deployer: Deployer,
        failing_predictor: Predictor,
        context: DeployContext,
        batches: list[Batch],
    ) -> None:
        deployment = deployer.deploy(failing_predictor, context)
        with pytest.raises(Exception) as caught:
            deployment.collect(deployment.launch(batches[0]))
        assert "planted" in _whole_story(caught.value)
        assert not deployment.is_out_of_memory(caught.value)
        deployment.close()

    def test_a_batch_that_cannot_be_computed_does_no_harm_to_the_next(
        self,
        predictor: Predictor,
        deployment: Deployment,
        batches: list[Batch],
        expected: list[Arrays],
    ) -> None:
        good = batches[0]
        bad = Batch(object(), good.rows, good.mask, good.keys)
        with contextlib.suppress(Exception):
            deployment.collect(deployment.launch(bad))
        assert_same(run_batch(predictor, deployment, good), expected[0], self.rtol, self.atol)

    def test_a_model_that_cannot_be_loaded_is_a_load_error(
        self, deployer: Deployer, predictor: Predictor, context: DeployContext
    ) -> None:
        if deployer.group_size != 1:
            pytest.skip("a group cannot be deployed in one process")
        with pytest.raises(LoadError) as caught:
            deployer.deploy(_overridden(predictor, load=_planted), context)
        assert "planted" in _whole_story(caught.value)

    def test_out_of_memory_is_told_from_other_errors(
        self, deployment: Deployment, out_of_memory: list[BaseException]
    ) -> None:
        for error in [MemoryError("planted"), *out_of_memory]:
            assert deployment.is_out_of_memory(error), error
        for other in (ValueError("planted"), RuntimeError("planted"), KeyboardInterrupt()):
            assert not deployment.is_out_of_memory(other), other

    # --- the rest ----------------------------------------------------------------------------

    def test_devices_and_figures_are_plain(
        self, deployment: Deployment, expected: list[Arrays]
    ) -> None:
        assert deployment.devices()
        assert all(isinstance(name, str) for name in deployment.devices())
        json.dumps(dict(deployment.stats()))

    def test_it_can_be_closed_twice_and_deployed_again(
        self,
        deployer: Deployer,
        predictor: Predictor,
        context: DeployContext,
        deployment: Deployment,
        batches: list[Batch],
        expected: list[Arrays],
    ) -> None:
        deployment.close()
        deployment.close()
        another = deployer.deploy(predictor, context)
        outputs = run_batch(predictor, another, batches[0], expected[0])
        another.close()
        assert_same(outputs, expected[0], self.rtol, self.atol)


def _planted(*_: Any, **__: Any) -> Any:
    raise PlantedError("planted")


def _overridden(predictor: Predictor, **methods: Callable[..., Any]) -> Predictor:
    """The same predictor with some methods replaced."""
    cls = type(predictor)
    other: Predictor = object.__new__(type(f"Planted{cls.__name__}", (cls,), methods))
    vars(other).update(vars(predictor))
    return other


def _whole_story(error: BaseException | None) -> str:
    """The messages of an error and of everything that caused it."""
    if error is None:
        return ""
    return f"{error} {_whole_story(error.__cause__)} {_whole_story(error.__context__)}"


def _is_host(predictions: Any) -> bool:
    """Whether moving the predictions to the host changes no array of them."""
    before, after = to_outputs(predictions), to_outputs(to_host(predictions))
    return all(before[name] is after[name] or isinstance(before[name], list) for name in before)
