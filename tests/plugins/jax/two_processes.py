"""One of several processes that form one mesh: python two_processes.py PROCESS PORT OUT SHARDS.

Writes what ``predict`` returned and what ``stream`` yielded to OUT as JSON.
"""

from __future__ import annotations

import json
import sys
from unittest import mock

import numpy as np


def main(process: int, port: int, out: str, shards: int) -> None:
    import jax

    jax.config.update("jax_num_cpu_devices", 4)
    from foretell_jax import Deployer, Predictor

    deployer = Deployer(
        jax_seed=7,
        n_model_shards=shards,
        verbose=False,
        n_processes=2,
        host0_address="127.0.0.1",
        host0_port=port,
        process_id=process,
    )
    rows = np.random.default_rng(1).normal(size=(19, 6)).astype(np.float32)
    weight = np.random.default_rng(0).normal(size=(6, 8)).astype(np.float32)

    def pred_fn(rng, params, batch):
        return {
            "y": batch @ params["kernel"],
            "noise": jax.random.normal(rng, (len(batch),)),
        }

    def words(preds):
        pairs = zip(preds["y"].tolist(), preds["noise"].tolist(), strict=True)
        return [{"y": y, "noise": noise, "text": f"{y[0]:.3f}"} for y, noise in pairs]

    rules = [(("kernel",), (None, "mp"))]
    predictor = Predictor(deployer, np.stack, pred_fn, words, rules)
    params = {"kernel": weight}
    found = predictor.predict(list(rows), 2, params)
    again = Predictor(
        Deployer(7, shards, verbose=False, n_processes=2), np.stack, pred_fn, words, rules
    )
    with mock.patch("jax.experimental.multihost_utils.process_allgather") as gathered:
        streamed = list(again.stream(iter(rows), 2, params, indices=True))
    with open(out, "w", encoding="utf-8") as file:
        json.dump(
            {
                "devices": [jax.local_device_count(), jax.device_count()],
                "predict": found,
                "stream": streamed,
                "gathered": gathered.call_count,
                "members": deployer.n_members,
            },
            file,
        )


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
