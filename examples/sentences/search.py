"""Find the documentation nearest in meaning to a question.

python examples/sentences/search.py "how do I copy a directory"
"""

import argparse
from pathlib import Path

import foretell
import numpy as np
from model import MiniLM

HERE = Path(__file__).parent


def nearest(embeddings, query, n):
    """Rows of the ``n`` largest cosine similarities, best first; NaN rows never."""
    scores = np.nan_to_num(embeddings @ query, nan=-np.inf)
    best = np.argsort(-scores, kind="stable")[:n]
    return best, scores[best]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("question")
    parser.add_argument("--run", default=str(HERE / "runs" / "docs.zarr"))
    parser.add_argument("-n", type=int, default=5)
    arguments = parser.parse_args()
    run = foretell.open_run(arguments.run)
    query = MiniLM()([arguments.question])["embedding"][0]
    rows, scores = nearest(run["embedding"][:], query, arguments.n)
    names = run["name"][:]
    for row, score in zip(rows, scores, strict=True):
        print(f"{score:.3f}  {names[row]}")


if __name__ == "__main__":
    main()
