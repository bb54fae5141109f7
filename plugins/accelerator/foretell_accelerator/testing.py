"""The contract every target keeps, as tests."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from foretell_accelerator.artifact import Artifact, load
from foretell_accelerator.compiling import compile
from foretell_accelerator.errors import ArtifactError, CompileError, InputError
from foretell_accelerator.manifest import NAME
from foretell_accelerator.targets.base import Target, TargetSettings

_FRESH = """\
import json, sys
import numpy as np
from foretell_accelerator import load
arrays = dict(np.load(sys.argv[2]))
found = load(sys.argv[1]).run(**arrays)
np.savez(sys.argv[3], **found)
print(json.dumps(sorted(sys.modules)))
"""


class AcceleratorTargetContract:
    """Subclass it, name the class, and supply two fixtures.

    * ``model``: a model the target compiles, in evaluation mode; called with the inputs by name.
      Its rows must not depend on each other.
    * ``inputs``: name to array, eight rows on axis 0 of each, not all alike.
    * ``wrong_model``: a model of a framework it does not compile; a lambda or, for a target of JAX
      functions, a ``torch.nn.Module``.

    Attributes:
        target_class: The class under test, registered under its ``name``.
        rtol, atol: Tolerance at fp32 against the eager model.
        precise: Precisions beside fp32 that are tried, each with the tolerance of its floats.
        source: Modules that a fresh process must not import to run an artifact: the model's own.
    """

    target_class: ClassVar[type[Target]]
    rtol: ClassVar[float] = 1e-4
    atol: ClassVar[float] = 1e-5
    precise: ClassVar[Mapping[str, float]] = {}
    source: ClassVar[tuple[str, ...]] = ()

    @pytest.fixture(scope="class")
    @classmethod
    def model(cls) -> Any:
        pytest.fail("supply a fixture `model` of class scope")

    @pytest.fixture(scope="class")
    @classmethod
    def inputs(cls) -> dict[str, np.ndarray]:
        pytest.fail("supply a fixture `inputs` of class scope")

    @pytest.fixture(scope="class")
    @classmethod
    def wrong_model(cls) -> Any:
        return None

    @pytest.fixture(scope="class")
    @classmethod
    def target(cls) -> Target:
        made = cls.target_class()
        if reason := made.usable():
            pytest.skip(f"{made.name}: {reason}")
        return made

    @pytest.fixture(scope="class")
    @classmethod
    def expected(cls, model: Any, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """What the eager model says."""
        from foretell_accelerator.models import trace

        traced = trace(model, inputs)
        return dict(zip(traced.traceable.outputs, traced.values, strict=True))

    @pytest.fixture(scope="class")
    @classmethod
    def compiled(
        cls,
        target: Target,
        model: Any,
        inputs: dict[str, np.ndarray],
        tmp_path_factory: pytest.TempPathFactory,
    ) -> Iterator[Artifact]:
        """One artifact for all tests of the class: compiling is slow."""
        folder = tmp_path_factory.mktemp(target.name)
        artifact = compile(model, inputs, folder, "artifact", target.name)
        yield artifact
        artifact.close()

    def reload(self, artifact: Artifact, model: Any) -> Artifact:
        """Open the artifact's folder anew."""
        assert artifact.path is not None
        return load(artifact.path, model=model if artifact.target.needs_model else None)

    # --- what it says of itself ---------------------------------------------------------------

    def test_the_class_says_what_it_is(self) -> None:
        made = self.target_class()
        assert made.name
        assert made.frameworks
        assert made.precisions[0] == "fp32"
        assert made.devices
        assert isinstance(made.usable(), str)

    def test_it_is_registered_under_its_name(self) -> None:
        from foretell_accelerator import registry

        assert isinstance(registry.target(self.target_class.name), self.target_class)

    def test_naming_it_imports_no_framework(self) -> None:
        home = f"{self.target_class.__module__}"
        code = (
            f"import sys, json, {home}; {home}.{self.target_class.__name__}().usable(); "
            "print(json.dumps(sorted(sys.modules)))"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        if done.returncode != 0 and "No module named" in done.stderr:
            pytest.skip("the target's module cannot be imported in another process")
        assert done.returncode == 0, done.stderr
        heavy = {"torch", "jax", "openvino", "onnxruntime", "onnx", "transformers"}
        assert not heavy & set(json.loads(done.stdout))

    def test_versions_and_device_are_plain(self, target: Target) -> None:
        assert target.versions() == {k: v for k, v in target.versions().items() if k and v}
        assert target.device_kind(target.devices[0])

    # --- what it computes ---------------------------------------------------------------------

    def test_it_computes_what_the_model_does(
        self, compiled: Artifact, inputs: Any, expected: Any
    ) -> None:
        self.assert_close(compiled.run(**inputs), expected)

    def test_it_says_how_far_it_is_from_the_model(self, compiled: Artifact) -> None:
        (calibration,) = compiled.manifest.calibration.values()
        assert set(calibration) == {spec.name for spec in compiled.programs[0].outputs}
        for apart in calibration.values():
            if "max_abs" in apart:
                assert apart["max_abs"] <= self.atol + self.rtol * max(1.0, apart["largest"])
            else:
                assert apart["equal"] == 1.0

    def test_running_again_gives_the_same(self, compiled: Artifact, inputs: Any) -> None:
        first, again = compiled.run(**inputs), compiled.run(**inputs)
        for name, array in first.items():
            np.testing.assert_array_equal(array, again[name])

    def test_outputs_are_not_overwritten_by_the_next_run(
        self, compiled: Artifact, inputs: Any
    ) -> None:
        first = compiled.run(**inputs)
        kept = {name: array.copy() for name, array in first.items()}
        compiled.run(**{name: array[::-1].copy() for name, array in inputs.items()})
        for name, array in first.items():
            np.testing.assert_array_equal(array, kept[name])

    def test_inputs_are_left_as_they_are(self, compiled: Artifact, inputs: Any) -> None:
        given = {name: array.copy() for name, array in inputs.items()}
        compiled.run(**given)
        for array in given.values():
            array.flags.writeable = False  # as rows of a mapped file are
        compiled.run(**given)
        for name, array in inputs.items():
            np.testing.assert_array_equal(given[name], array)

    @pytest.mark.parametrize("rows", [1, 3, 8, 11])
    def test_any_number_of_rows_is_filled_up_and_padding_changes_nothing(
        self, compiled: Artifact, inputs: Any, expected: Any, rows: int
    ) -> None:
        index = np.arange(rows) % 8
        found = compiled.rows(**{name: array[index] for name, array in inputs.items()})
        self.assert_close(found, {name: array[index] for name, array in expected.items()})

    def test_threads_may_run_it_at_once(
        self, compiled: Artifact, inputs: Any, expected: Any
    ) -> None:
        with ThreadPoolExecutor(4) as pool:
            found = [pool.submit(compiled.run, **inputs) for _ in range(16)]
            for future in found:
                self.assert_close(future.result(timeout=60), expected)

    def test_other_precisions_cost_what_they_say(
        self, target: Target, model: Any, inputs: Any, expected: Any, tmp_path: Path
    ) -> None:
        for precision, tolerance in self.precise.items():
            made = compile(model, inputs, tmp_path, precision, target.name, precision=precision)
            assert made.manifest.precision == precision
            for name, array in made.run(**inputs).items():
                assert array.dtype == expected[name].dtype
                np.testing.assert_allclose(array, expected[name], tolerance, tolerance)
            made.close()

    # --- the folder ---------------------------------------------------------------------------

    def test_a_fresh_process_needs_nothing_but_the_folder(
        self, compiled: Artifact, inputs: Any, expected: Any, tmp_path: Path
    ) -> None:
        if compiled.target.needs_model:
            pytest.skip("the target needs the model itself")
        np.savez(tmp_path / "in.npz", **inputs)
        moved = tmp_path / "moved"
        assert compiled.path is not None
        shutil.copytree(compiled.path, moved)
        words = [str(moved), str(tmp_path / "in.npz"), str(tmp_path / "out.npz")]
        done = subprocess.run(
            [sys.executable, "-c", _FRESH, *words], capture_output=True, text=True, cwd=tmp_path
        )
        assert done.returncode == 0, done.stderr
        assert not set(self.source) & set(json.loads(done.stdout.splitlines()[-1]))
        self.assert_close(dict(np.load(tmp_path / "out.npz")), expected)

    def test_a_changed_byte_anywhere_is_refused(
        self, compiled: Artifact, model: Any, tmp_path: Path
    ) -> None:
        moved = tmp_path / "moved"
        assert compiled.path is not None
        shutil.copytree(compiled.path, moved)
        for name in [*compiled.manifest.files, NAME]:
            file = moved / name
            data = file.read_bytes()
            at = len(data) // 2
            file.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
            with pytest.raises(ArtifactError) as caught:
                load(moved, model=model)
            assert file.name in str(caught.value)
            file.write_bytes(data)
        load(moved, model=model).close()

    @pytest.mark.parametrize("field", ["versions", "device"])
    def test_another_version_or_device_is_refused_by_name(
        self, compiled: Artifact, model: Any, tmp_path: Path, field: str
    ) -> None:
        from dataclasses import replace

        manifest = compiled.manifest
        assert compiled.path is not None
        moved = tmp_path / "moved"
        shutil.copytree(compiled.path, moved)
        other: Any = dict.fromkeys(manifest.versions, "0.0.1") if field == "versions" else "tpu v9"
        replace(manifest, **{field: other}).sealed().write(moved)
        with pytest.raises(ArtifactError) as caught:
            load(moved, model=model)
        assert field.removesuffix("s") in str(caught.value)

    # --- refusals -----------------------------------------------------------------------------

    def test_inputs_it_was_not_compiled_for_are_refused_by_name(
        self, compiled: Artifact, inputs: Any
    ) -> None:
        name = next(iter(inputs))
        array = inputs[name]
        other = np.float64 if array.dtype != np.float64 else np.float32
        for changed in (
            {**inputs, name: array.astype(other)},
            {**inputs, name: np.concatenate([array, array], axis=-1)},
            {k: v for k, v in inputs.items() if k != name},
        ):
            for door in (compiled.run, compiled.rows):
                with pytest.raises(InputError) as caught:
                    door(**changed)
                assert name in str(caught.value)
        with pytest.raises(InputError, match="surplus"):
            compiled.run(**inputs, surplus=array)
        with pytest.raises(InputError):
            compiled.run(**{k: v[:3] for k, v in inputs.items()})

    def test_a_model_of_another_framework_is_refused(
        self, target: Target, inputs: Any, wrong_model: Any, tmp_path: Path
    ) -> None:
        if wrong_model is None:
            wrong_model = lambda **arrays: arrays  # noqa: E731
        with pytest.raises(CompileError, match=f"{target.name} compiles no"):
            compile(wrong_model, inputs, tmp_path, "wrong", target.name)
        assert not list(tmp_path.iterdir())

    def test_an_unknown_precision_or_device_is_refused(
        self, target: Target, model: Any, inputs: Any, tmp_path: Path
    ) -> None:
        given: Any
        for field in ("precision", "device"):
            given = {field: "nonsense"}
            with pytest.raises(CompileError, match=f"no {field} nonsense"):
                compile(model, inputs, tmp_path, "x", target.name, **given)

    def test_closing_it_frees_it_and_it_loads_again(
        self, compiled: Artifact, model: Any, inputs: Any, expected: Any
    ) -> None:
        again = self.reload(compiled, model)
        again.run(**inputs)
        again.close()
        again.close()
        self.assert_close(again.run(**inputs), expected)
        again.close()

    # --- helpers ------------------------------------------------------------------------------

    def assert_close(self, found: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
        """Equal names, dtypes and shapes; floats within the tolerance, the rest equal."""
        assert list(found) == list(expected)
        for name, array in expected.items():
            assert found[name].dtype == array.dtype, name
            if array.dtype.kind in "fc":
                np.testing.assert_allclose(found[name], array, self.rtol, self.atol, err_msg=name)
            else:
                np.testing.assert_array_equal(found[name], array, err_msg=name)

    def settings(self, **given: Any) -> TargetSettings:
        """Settings for calling the target itself."""
        return TargetSettings(**given)
