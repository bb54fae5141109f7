"""A run store in an S3 bucket.

Every request is made once by the client and repeated by us: so a lease is checked before each try,
and an answer that was lost is told from one that was never given.

A late write cannot be kept out by renaming here. Instead every leased put names the state of the
object it means to replace: none, or the one it saw. A request that a stopped worker finishes after
the next driver has written that object is refused by the storage.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import google_crc32c

from foretell.errors import LeaseLost, StorageError, StoreError
from foretell.store import oserrors
from foretell.store.confine import split_key
from foretell.store.layout import PROBE
from foretell.store.objects import Lease, ObjectStore, Stored, Version, fault_point
from foretell.store.s3client import build, explain, missing

ResultT = TypeVar("ResultT")

TRIES = 5
FIRST_BACKOFF = 0.1
"""Seconds before the second try; doubled for each one after it."""


class RemoteObjects(ObjectStore):
    """Objects below a prefix of a bucket.

    Args:
        url: ``s3://bucket/prefix``.
        lease: Checked before every try of a leased put; None where no lease is needed.
        label: Not used: nothing is staged here.
        sleep: Waits between tries.
    """

    remote = True

    def __init__(
        self,
        url: str,
        *,
        lease: Lease | None = None,
        label: str = "",
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.url = url
        bucket, _, prefix = url.removeprefix("s3://").partition("/")
        prefix = prefix.strip("/")
        if prefix:
            split_key(prefix)
        self._reader = build(bucket, prefix, writing=False)
        self._writer = build(bucket, prefix, writing=True)
        self._lease = lease
        self._sleep = sleep
        self._taken: dict[str, Stored] = {}
        self._lock = threading.Lock()

    # --- reading ------------------------------------------------------------------------------

    def get(self, key: str) -> bytes:
        import obstore

        return self._read(key, lambda: bytes(obstore.get(self._reader, key).bytes()))

    def get_if_changed(self, key: str, known: Version | None) -> tuple[bytes, Version] | None:
        import obstore
        from obstore.exceptions import NotModifiedError

        options: Any = {"if_none_match": known.etag} if known is not None else None

        def read() -> tuple[bytes, Version] | None:
            try:
                result = obstore.get(self._reader, key, options=options)
                return bytes(result.bytes()), _version(result.meta)
            except NotModifiedError:
                return None

        return self._read(key, read)

    def get_range(self, key: str, start: int, length: int) -> bytes:
        import obstore

        size = self.version(key).size
        begin = max(0, size + start) if start < 0 else start
        length = min(length, size - begin)
        if length <= 0:
            return b""
        return self._read(
            key, lambda: bytes(obstore.get_range(self._reader, key, start=begin, length=length))
        )

    def version(self, key: str) -> Version:
        import obstore

        def read() -> Version:
            try:
                return _version(obstore.head(self._reader, key))
            except FileNotFoundError:
                # The answer to a HEAD has no body; this one says what is missing.
                obstore.get(self._reader, key)
                raise

        return self._read(key, read)

    def list(self, prefix: str = "") -> Iterator[str]:
        import obstore

        folder = prefix.rpartition("/")[0]
        if folder:
            split_key(folder)

        def read() -> list[str]:
            pages = obstore.list(self._reader, folder or None)
            return [item["path"] for page in pages for item in page]

        fault_point("list", prefix)
        keys = self._tried("listing", prefix, read)
        return (key for key in keys if key.startswith(prefix))

    # --- writing ------------------------------------------------------------------------------

    def put(self, key: str, data: bytes | memoryview, *, leased: bool = True) -> Stored:
        import obstore

        split_key(key)
        data = bytes(data)
        stored = Stored(len(data), int(google_crc32c.value(data)))

        def write() -> None:
            fault_point("put", key)
            if leased and self._lease is not None:
                self._put_leased(key, data, self._lease)
            else:
                fault_point("put-staged", key)
                obstore.put(self._writer, key, data, use_multipart=False)
            fault_point("put-done", key)

        self._tried("writing", key, write, data)
        with self._lock:
            self._taken[key] = stored
        return stored

    def create(self, key: str, data: bytes) -> bool:
        import obstore
        from obstore.exceptions import AlreadyExistsError

        split_key(key)
        unsure = False

        def write() -> bool:
            nonlocal unsure
            fault_point("create", key)
            fault_point("create-staged", key)
            try:
                before, unsure = unsure, True
                obstore.put(self._writer, key, data, mode="create", use_multipart=False)
            except AlreadyExistsError:
                # An earlier try of ours may have arrived although its answer did not.
                return before and self.get(key) == data
            fault_point("create-done", key)
            return True

        return self._tried("writing", key, write, data)

    def delete(self, key: str) -> None:
        import obstore

        split_key(key)
        fault_point("delete", key)
        self._tried("deleting", key, lambda: obstore.delete(self._writer, key))

    def taken(self, key: str) -> Stored:
        with self._lock:
            return self._taken.pop(key)

    # --- looking after the prefix -------------------------------------------------------------

    def sweep(self, labels: str = "") -> int:
        fault_point("sweep", "")
        if labels:
            return 0
        # A put is there whole or not at all; a driver killed in its first steps leaves a probe.
        probes = list(self.list(PROBE))
        for probe in probes:
            self.delete(probe)
        return len(probes)

    def ensure_root(self) -> None:
        """Nothing to do: a prefix exists by being used."""

    def check_writable(self) -> None:
        probe = f"{PROBE}{secrets.token_hex(8)}"
        try:
            self.create(probe, b"")
            self.delete(probe)
        except (StorageError, StoreError) as error:
            raise StoreError(
                "the run store cannot be written",
                facts=error.facts,
                tries=error.tries,
                slug="store-not-writable",
            ) from error

    def free_bytes(self) -> int | None:
        return None

    # --- steps --------------------------------------------------------------------------------

    def _put_leased(self, key: str, data: bytes, lease: Lease) -> None:
        import obstore
        from obstore.exceptions import AlreadyExistsError

        mode: Any = "create"
        while True:
            lease.check()
            fault_point("put-staged", key)
            try:
                obstore.put(self._writer, key, data, mode=mode, use_multipart=False)
                return
            except AlreadyExistsError:
                # An earlier attempt left it. What stands there now is what may be replaced, and
                # the lease is asked after looking.
                mode = {"e_tag": self.version(key).etag}

    def _read(self, key: str, read: Callable[[], ResultT]) -> ResultT:
        split_key(key)

        def once() -> ResultT:
            fault_point("get", key)
            return read()

        return self._tried("reading", key, once)

    def _tried(
        self, what: str, key: str, action: Callable[[], ResultT], data: bytes | None = None
    ) -> ResultT:
        """Do it, again where that may help.

        Raises:
            FileNotFoundError: the storage says that there is no such object.
            LeaseLost: somebody else replaced the object meanwhile.
            StorageError, StoreError: it failed for good.
        """
        from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError

        backoff = FIRST_BACKOFF
        for number in range(1, TRIES + 1):
            try:
                return action()
            except (AlreadyExistsError, PreconditionError) as error:
                failed: BaseException = error
                self._replaced_meanwhile(key, data)
            except (BaseError, OSError) as error:
                if missing(error) and what == "reading":
                    raise FileNotFoundError(key) from None
                failed = error
            error_now = self._explained(failed, what, key, data)
            if number == TRIES or isinstance(error_now, StoreError):
                raise error_now from failed
            self._sleep(backoff)
            backoff *= 2
        raise AssertionError

    def _replaced_meanwhile(self, key: str, data: bytes | None) -> None:
        """Stop a put whose object is not what it was; go on when that was our own doing."""
        if data is not None and self.get(key) != data:
            raise LeaseLost(
                "another worker has stored this object meanwhile",
                facts=[("object", key), ("safe", "the object in the store was not touched")],
            )

    def _explained(
        self, error: BaseException, what: str, key: str, data: bytes | None
    ) -> StorageError | StoreError:
        if isinstance(error, OSError) and error.errno is not None:
            found = oserrors.explain(
                error, self.url, what, key, None if data is None else len(data)
            )
        else:
            found = explain(error, self.url, what, key)
        assert isinstance(found, StorageError | StoreError)
        return found


def _version(meta: Any) -> Version:
    return Version(meta["e_tag"] or "", meta["size"], meta["last_modified"].timestamp())
