"""A run in a bucket whose storage fails, stalls, hangs up and lies."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from foretell.store.open import open_objects
from forks import ForkBench, Forks
from s3_standin import FaultProxy
from small_run import SETTINGS, Fault, predict, prepare, values
from workbench import Finished

pytestmark = pytest.mark.s3

GAVE_OUT, REFUSED = 7, 5
FAULTS = (500, 503, "reset", "lose", "cut", "slow")

Verdict = int | str | None


@dataclass(frozen=True)
class BucketBench(ForkBench):
    """A workbench whose store is in a bucket."""

    url: str = ""

    def predict_command(self, **sets: object) -> list[str]:
        command = super().predict_command(**sets)
        command[command.index(str(self.store))] = self.url
        return command

    def outputs(self) -> dict[str, bytes]:
        objects = open_objects(self.url)
        return {key: objects.get(key) for key in objects.list() if not key.startswith("_run/")}

    def everything(self) -> dict[str, tuple[str, bytes]]:
        objects = open_objects(self.url)
        return {key: (objects.version(key).etag, objects.get(key)) for key in objects.list()}


@pytest.fixture(scope="module")
def expected(forks: Forks, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    bench = ForkBench(tmp_path_factory.mktemp("reference"), forks=forks)
    prepare(bench)
    assert predict(bench).code == 0
    return bench.outputs()


@pytest.fixture
def proxy(s3_proxy: tuple[FaultProxy, str]) -> FaultProxy:
    return s3_proxy[0]


@pytest.fixture
def bench(tmp_path, forks: Forks, s3_proxy: tuple[FaultProxy, str]) -> BucketBench:
    bucket = BucketBench(tmp_path, forks=forks, url=s3_proxy[1])
    prepare(bucket)
    return bucket


class Weather:
    """Faults on some requests, chosen by a seed, and a count of those that were met."""

    def __init__(self, proxy: FaultProxy, often: float, seed: int) -> None:
        self.met: Counter[Verdict] = Counter()
        self._chooser = random.Random(seed)
        self._often = often
        proxy.decide = self.decide

    def decide(self, method: str, path: str) -> Verdict:
        if self._chooser.random() >= self._often:
            return None
        fault = self._chooser.choice(FAULTS)
        self.met[fault] += 1
        return fault


def clear(proxy: FaultProxy) -> None:
    proxy.decide = lambda method, path: None


def whole(bench: BucketBench, done: Finished, expected: dict[str, bytes]) -> None:
    assert done.code == 0, done.err
    assert bench.outputs() == expected
    checked = bench.sdk("verify", "--deep", bench.url)
    assert checked.code == 0, checked.out + checked.err


def sailed(bench: BucketBench, proxy: FaultProxy, expected, often: float, seed: int) -> Weather:
    """A run through foul weather: it arrives, or says that the storage gave out."""
    weather = Weather(proxy, often, seed)
    done = predict(bench)
    clear(proxy)
    assert done.code in (0, GAVE_OUT), done.err
    if done.code:
        assert "the object store failed" in done.err
        done = predict(bench)
    whole(bench, done, expected)
    return weather


def test_a_run_survives_a_storage_that_fails_now_and_then(
    bench: BucketBench, proxy: FaultProxy, expected: dict[str, bytes]
) -> None:
    weather = sailed(bench, proxy, expected, often=0.15, seed=1)
    assert len(weather.met) > 3, weather.met


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("often", [0.05, 0.2, 0.4, 0.6])
@pytest.mark.parametrize("seed", range(10))
def test_any_weather(
    bench: BucketBench, proxy: FaultProxy, expected: dict[str, bytes], often: float, seed: int
) -> None:
    assert sailed(bench, proxy, expected, often, seed).met


def from_request(number: int, verdict: Verdict) -> Callable[[str, str], Verdict]:
    seen = 0

    def decide(method: str, path: str) -> Verdict:
        nonlocal seen
        seen += 1
        return verdict if seen >= number else None

    return decide


@pytest.mark.parametrize("verdict", [500, "reset", 404])
def test_a_storage_that_fails_for_good_ends_the_run(
    bench: BucketBench, proxy: FaultProxy, expected: dict[str, bytes], verdict: Verdict
) -> None:
    before = len(proxy.seen)
    proxy.decide = from_request(60, verdict)
    done = predict(bench)
    assert len(proxy.seen) - before >= 60, "the fault was never met"
    clear(proxy)
    assert done.code == GAVE_OUT, done.err
    assert "the object store failed" in done.err
    whole(bench, predict(bench), expected)


def test_what_must_be_there_is_never_taken_for_missing(
    bench: BucketBench, proxy: FaultProxy, expected: dict[str, bytes]
) -> None:
    killed = Fault(bench, "op=put-staged,key=y/c.5.0,do=kill")
    assert predict(killed.bench).code == -9
    assert killed.met
    before = bench.everything()
    for hidden in ("_run/manifest.json", "_run/ledger/000000000002.jsonl"):
        # A listing still has it, or the records name it: only the object itself seems gone.
        proxy.decide = lambda method, path, hidden=hidden: (
            "missing" if method in ("GET", "HEAD") and path.endswith(hidden) else None
        )
        refused = predict(bench)
        clear(proxy)
        assert refused.code in (REFUSED, GAVE_OUT), f"{hidden}: {refused.err}"
        assert bench.everything() == before, hidden
    whole(bench, predict(bench), expected)


def test_a_driver_killed_over_a_bucket_is_continued(
    bench: BucketBench, expected: dict[str, bytes]
) -> None:
    for where in ("op=create-staged,key=_run/ledger/*,n=3", "op=put-done,key=z/c.4"):
        killed = Fault(bench, f"{where},do=kill")
        assert predict(killed.bench).code == -9
        assert killed.met
    whole(bench, predict(bench), expected)
    before = bench.everything()
    again = bench.run(bench.predict_command(**SETTINGS))
    assert again.code == 0
    assert "nothing left to do" in again.err
    assert bench.everything() == before
    np.testing.assert_array_equal(expected_values(bench), values() * 2)


def expected_values(bench: BucketBench) -> np.ndarray:
    import foretell

    return np.asarray(foretell.open_run(bench.url)["y"][:])
