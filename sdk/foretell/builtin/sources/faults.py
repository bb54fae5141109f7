"""Whose fault an exception of a read is: the storage's, or the data's."""

from __future__ import annotations


def storage_failed(error: BaseException) -> bool:
    """Whether reading failed because of the storage, so that trying again may help.

    An error from the operating system carries its number; decoders raise ``OSError`` too, without
    one. A file that is not there is the data's fault: it will not be there next time either.
    """
    if type(error).__module__.split(".")[0] == "obstore":
        return not isinstance(error, FileNotFoundError)
    if isinstance(error, FileNotFoundError | IsADirectoryError | NotADirectoryError):
        return False
    return isinstance(error, OSError) and error.errno is not None
