"""A driver takes a rival's segment for its own."""

from foretell.store.ledger import LedgerWriter


def settle(self, found):
    self._projection.take(found)


LedgerWriter._settle = settle
