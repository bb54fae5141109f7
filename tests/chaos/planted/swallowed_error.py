"""A put that failed counts as one that succeeded."""

import google_crc32c
from foretell.errors import StorageError
from foretell.store.local import LocalObjects
from foretell.store.objects import Stored

put = LocalObjects.put


def careless(self, key, data, *, leased=True):
    try:
        return put(self, key, data, leased=leased)
    except StorageError:
        data = bytes(data)
        stored = self._taken[key] = Stored(len(data), int(google_crc32c.value(data)))
        return stored


LocalObjects.put = careless
