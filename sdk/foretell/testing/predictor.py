"""The contract every predictor keeps, as tests."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from foretell import rows as rowops
from foretell.abc import DeployContext, Deployer, Deployment, Predictor
from foretell.outputs import select, spec_of
from foretell.plan import check_outputs
from foretell.testing import fresh
from foretell.testing.batches import assert_same, make_batch, pick, run_batch
from foretell.types import Arrays, Examples


class PredictorContract:
    """Subclass it, name the class, and supply two fixtures.

    * ``options``: settings of the predictor, built with ``.at(folder)`` where files are needed.
    * ``examples``: at least ``2 * batch_size`` usable rows, not all alike.
    * ``deployer``: only when the model's kind is not ``callable``.
    * ``changed_options``: settings that must not have the fingerprint of ``options``; another
      ``version`` by default.

    Attributes:
        predictor_class: The class under test, defined at the top of an importable module.
        batch_size: Rows of every batch.
        rtol, atol: Tolerance for float outputs of a row at the same place of another batch; none by
            default, because batches of one shape are computed alike.
        moved_rtol, moved_atol: Tolerance for a row at another place of the batch: matrix products
            round differently there.
        heavy: Modules that constructing the predictor must not import, beside the usual ones.
    """

    predictor_class: ClassVar[type[Predictor]]
    batch_size: ClassVar[int] = 8
    rtol: ClassVar[float] = 0.0
    atol: ClassVar[float] = 0.0
    moved_rtol: ClassVar[float] = 1e-5
    moved_atol: ClassVar[float] = 1e-6
    heavy: ClassVar[tuple[str, ...]] = ()

    @pytest.fixture
    def options(self) -> Any:
        pytest.fail("supply a fixture `options`")

    @pytest.fixture
    def examples(self) -> Examples:
        pytest.fail("supply a fixture `examples`")

    @pytest.fixture
    def deployer(self) -> Deployer:
        from foretell.builtin.deployers.local import LocalDeployer, LocalOptions

        if self.predictor_class.model_kind not in LocalDeployer.accepts:
            pytest.fail("supply a fixture `deployer` that accepts the model's kind")
        return LocalDeployer(LocalOptions())

    @pytest.fixture
    def changed_options(self, options: Any) -> list[Any]:
        return [options.model_copy(update={"version": "another version"})]

    @pytest.fixture
    def predictor(self, options: Any) -> Predictor:
        return self.predictor_class.from_options(options)

    @pytest.fixture
    def deployment(self, predictor: Predictor, deployer: Deployer) -> Iterator[Deployment]:
        deployment = deployer.deploy(predictor, DeployContext(batch_size=self.batch_size))
        yield deployment
        deployment.close()

    @pytest.fixture
    def outputs(self, predictor: Predictor, deployment: Deployment, examples: Examples) -> Arrays:
        """Outputs of the first full batch, which other batches are compared with."""
        enough = rowops.count(examples)
        assert enough >= 2 * self.batch_size, "`examples` has fewer than 2 * batch_size rows"
        batch = make_batch(predictor, examples, range(self.batch_size))
        return run_batch(predictor, deployment, batch)

    # --- building and identity ---------------------------------------------------------------

    def test_class_says_what_it_is(self) -> None:
        assert isinstance(self.predictor_class.model_kind, str)
        assert self.predictor_class.default_deployer
        assert "kind" in self.predictor_class.Options.model_fields

    def test_a_fresh_process_rebuilds_it_from_plain_options(
        self, options: Any, predictor: Predictor
    ) -> None:
        rebuilt = fresh.rebuild(self.predictor_class, options, "fingerprint", self.heavy)
        assert rebuilt.result == dict(predictor.fingerprint())

    def test_constructing_it_imports_no_framework(self, options: Any) -> None:
        rebuilt = fresh.rebuild(self.predictor_class, options, None, self.heavy)
        assert rebuilt.imported == ()

    def test_fingerprint_is_stable_and_plain(self, options: Any, predictor: Predictor) -> None:
        first = dict(predictor.fingerprint())
        again = dict(self.predictor_class.from_options(options).fingerprint())
        assert first == again
        assert first
        assert all(isinstance(item, str) for pair in first.items() for item in pair)

    def test_loading_and_predicting_do_not_change_the_fingerprint(
        self, options: Any, predictor: Predictor, outputs: Arrays
    ) -> None:
        untouched = self.predictor_class.from_options(options)
        assert dict(predictor.fingerprint()) == dict(untouched.fingerprint())

    def test_fingerprint_follows_the_options(
        self, predictor: Predictor, changed_options: list[Any]
    ) -> None:
        known = [dict(predictor.fingerprint())]
        for options in changed_options:
            parts = dict(self.predictor_class.from_options(options).fingerprint())
            assert parts not in known
            known.append(parts)

    def test_fingerprint_follows_every_byte_of_the_checkpoint(
        self, options: Any, predictor: Predictor, tmp_path: Path
    ) -> None:
        if options.checkpoint is None:
            pytest.skip("no checkpoint in the options")
        original = Path(options.resolve(options.checkpoint))
        copy = tmp_path / "contract" / original.name
        _copy(original, copy)
        moved = options.model_copy(update={"checkpoint": str(copy)})
        before = dict(self.predictor_class.from_options(moved).fingerprint())
        for file in [copy] if copy.is_file() else sorted(p for p in copy.rglob("*") if p.is_file()):
            _flip_last_byte(file)
            assert dict(self.predictor_class.from_options(moved).fingerprint()) != before
            _flip_last_byte(file)
        assert dict(self.predictor_class.from_options(moved).fingerprint()) == before

    # --- what happens to a batch -------------------------------------------------------------

    def test_collate_takes_a_full_batch_with_filler(
        self, predictor: Predictor, deployment: Deployment, examples: Examples
    ) -> None:
        full = make_batch(predictor, examples, range(self.batch_size))
        padded = make_batch(predictor, examples, [0] * self.batch_size, real=1)
        assert type(full.inputs) is type(padded.inputs)

    def test_predictions_have_a_row_for_every_row_of_the_batch(
        self, predictor: Predictor, deployment: Deployment, examples: Examples
    ) -> None:
        batch = make_batch(predictor, examples, range(self.batch_size))
        # select() refuses any leaf without exactly one row for each row of the batch.
        select(deployment.collect(deployment.launch(batch)), batch.mask)

    def test_outputs_can_be_stored(self, outputs: Arrays) -> None:
        check_outputs(tuple(spec_of(name, array) for name, array in outputs.items()))

    def test_postprocess_gives_the_real_rows_alone(
        self, predictor: Predictor, deployment: Deployment, examples: Examples, outputs: Arrays
    ) -> None:
        for real in sorted({1, self.batch_size // 2, self.batch_size - 1, self.batch_size} - {0}):
            positions = [min(at, real - 1) for at in range(self.batch_size)]
            batch = make_batch(predictor, examples, positions, real=real)
            got = run_batch(predictor, deployment, batch, outputs)
            assert {len(array) for array in got.values()} == {real}
            assert_same(got, pick(outputs, slice(real)), self.rtol, self.atol)

    def test_filler_never_changes_a_row(
        self, predictor: Predictor, deployment: Deployment, examples: Examples, outputs: Arrays
    ) -> None:
        real = max(1, self.batch_size // 2)
        for shift in range(self.batch_size):
            filler = [(shift + at) % (2 * self.batch_size) for at in range(self.batch_size - real)]
            batch = make_batch(predictor, examples, [*range(real), *filler], real=real)
            got = run_batch(predictor, deployment, batch, outputs)
            assert_same(got, pick(outputs, slice(real)), self.rtol, self.atol)

    def test_rows_come_back_in_the_order_of_the_batch(
        self, predictor: Predictor, deployment: Deployment, examples: Examples, outputs: Arrays
    ) -> None:
        order = np.random.default_rng(0).permutation(self.batch_size).tolist()
        got = run_batch(predictor, deployment, make_batch(predictor, examples, order), outputs)
        assert_same(got, pick(outputs, order), self.moved_rtol, self.moved_atol)

    def test_a_row_does_not_depend_on_its_place_or_its_neighbours(
        self, predictor: Predictor, deployment: Deployment, examples: Examples, outputs: Arrays
    ) -> None:
        for start in range(1, self.batch_size):
            positions = range(start, start + self.batch_size)
            got = run_batch(
                predictor, deployment, make_batch(predictor, examples, positions), outputs
            )
            shared = pick(got, slice(self.batch_size - start))
            assert_same(shared, pick(outputs, slice(start, None)), self.moved_rtol, self.moved_atol)

    def test_specs_are_as_declared_and_the_same_for_every_batch(
        self, predictor: Predictor, deployment: Deployment, examples: Examples, outputs: Arrays
    ) -> None:
        learnt = {name: spec_of(name, array) for name, array in outputs.items()}
        declared = predictor.output_specs()
        if declared is not None:
            found = {spec.name: spec.describe() for spec in declared}
            assert found == {name: spec.describe() for name, spec in learnt.items()}
        others = range(self.batch_size, 2 * self.batch_size)
        batch = make_batch(predictor, examples, others)
        assert list(run_batch(predictor, deployment, batch, outputs)) == list(outputs)


def _copy(original: Path, copy: Path) -> None:
    copy.parent.mkdir(parents=True, exist_ok=True)
    if original.is_dir():
        shutil.copytree(original, copy)
    else:
        shutil.copy(original, copy)


def _flip_last_byte(file: Path) -> None:
    data = file.read_bytes()
    file.write_bytes(data[:-1] + bytes([data[-1] ^ 1]) if data else b"x")
