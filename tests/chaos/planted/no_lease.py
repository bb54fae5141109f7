"""Workers put without a lease, and nobody removes what they have staged."""

from foretell.engine.lease import WorkerLease
from foretell.store.local import LocalObjects

WorkerLease.check = lambda self: None
LocalObjects.sweep = lambda self, labels="": 0
