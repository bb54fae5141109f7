"""Creating an object replaces the one that is there."""

from foretell.store.staging import Staged


def replace(self, parts):
    self.move(parts)
    return True


Staged.link = replace
