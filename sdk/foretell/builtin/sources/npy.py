"""Rows from NumPy's own files: .npy and .npz."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field, model_validator

from foretell.abc import Source, SourceOptions
from foretell.abc.options import PATH
from foretell.builtin.sources.dtypes import dtype_name, refuse_objects, row_bytes_of
from foretell.builtin.sources.files import find_files, near_names, opening, setting
from foretell.builtin.sources.guard import Guard
from foretell.builtin.sources.npy_member import Member, members, plain
from foretell.builtin.sources.parts import file_parts
from foretell.errors import LoadError
from foretell.text import clip, visible
from foretell.types import Layout, Rows, SourceSpec


class NpyOptions(SourceOptions):
    """``[source] kind = "npy"`` or ``"npz"``."""

    kind: str = Field(default="npy", description="Which registered implementation to use.")
    path: str = Field(description="The .npy or .npz file.", json_schema_extra=PATH)
    array: str | None = Field(default=None, description="The one array of an .npz file to read.")
    arrays: tuple[str, ...] = Field(
        default=(), description="Arrays of an .npz file to read as columns; all when empty."
    )

    @model_validator(mode="after")
    def _one_way(self) -> NpyOptions:
        if self.array is not None and self.arrays:
            raise ValueError("give array or arrays, not both")
        return self


class NpySource(Source):
    """One row per entry along axis 0 of an array, or of several arrays of one length as columns.

    An array is read by range straight from the file and never loaded whole; only a compressed
    member of an .npz file is, once. Nothing is ever unpickled.

    Args:
        options: The settings.

    Raises:
        LoadError: no such file or array, arrays of objects, no axis, different lengths.
    """

    Options: ClassVar[type[SourceOptions]] = NpyOptions

    def __init__(self, options: NpyOptions) -> None:
        self._options = options
        files = find_files(options, "npy", (".npy", ".npz"))
        if len(files) > 1:
            raise LoadError(
                "the npy source reads one file",
                facts=[("found", ", ".join(f.label for f in files[:5])), setting(options)],
            )
        self._file = files[0]
        self._guard = Guard(files)
        with opening(self._file.path):
            self._columns = self._open()
        self._single = not options.arrays and len(self._columns) == 1
        refuse_objects({n: m.dtype for n, m in self._columns.items()}, self._file.path)
        self._rows = self._count()

    def _open(self) -> dict[str, Member]:
        try:
            with self._guard.open(0) as handle:
                if not zipfile.is_zipfile(self._file.path):
                    self._refuse_choice()
                    return {"": plain(handle, 0, self._file.size)}
                found = members(handle)
                return {name: found[name] for name in self._chosen(found)}
        except (ValueError, zipfile.BadZipFile, EOFError, NotImplementedError) as error:
            raise LoadError(
                "this is not a whole NumPy file",
                facts=[
                    ("path", visible(self._file.path)),
                    ("reason", clip(str(error), 200)),
                    setting(self._options),
                ],
            ) from error

    def _refuse_choice(self) -> None:
        if self._options.array is not None or self._options.arrays:
            raise LoadError(
                "an .npy file holds one array without a name",
                facts=[("path", visible(self._file.path))],
                tries=[("leave out array and arrays", "")],
            )

    def _chosen(self, found: Mapping[str, Member]) -> list[str]:
        wanted = list(self._options.arrays)
        if self._options.array is not None:
            wanted = [self._options.array]
        for name in wanted:
            if name not in found:
                near = near_names(name, list(found))
                raise LoadError(
                    "the file has no such array",
                    facts=[("array", visible(name)), *self._list(found), setting(self._options)],
                    tries=[(f'array = "{visible(other)}"', "") for other in near],
                )
        return wanted or list(found)

    def _list(self, found: Mapping[str, Member]) -> list[tuple[str, str]]:
        listed = [f"{visible(n)} {m.dtype} {m.shape}" for n, m in list(found.items())[:50]]
        return [("arrays", "\n".join(listed) or "none"), ("path", visible(self._file.path))]

    def _count(self) -> int:
        lengths = {len(m) for m in self._columns.values() if m.shape}
        if len(lengths) > 1 or any(not m.shape for m in self._columns.values()):
            raise LoadError(
                "the arrays have different numbers of rows"
                if len(lengths) > 1
                else "an array without an axis has no rows",
                facts=self._list(self._columns),
                tries=[('array = "…"', "reads one of them"), ('arrays = ["…", "…"]', "some")],
            )
        return lengths.pop() if lengths else 0

    @property
    def spec(self) -> SourceSpec:
        if self._single:
            (member,) = self._columns.values()
            return SourceSpec(Layout.ARRAY, member.shape[1:], dtype_name(member.dtype))
        columns = {n: (m.shape[1:], dtype_name(m.dtype)) for n, m in self._columns.items()}
        return SourceSpec(Layout.COLUMNS, columns=columns)

    def __len__(self) -> int:
        return self._rows

    def read(self, start: int, stop: int) -> Rows:
        with self._guard.open(0) as handle:
            read = {
                name: member.read(handle, start, stop, self._file)
                for name, member in self._columns.items()
            }
        return Rows(next(iter(read.values())) if self._single else read)

    def fingerprint(self) -> Mapping[str, str]:
        settings = {"array": self._options.array, "arrays": self._options.arrays}
        return file_parts([self._file], self._options, settings)

    def locate(self, row: int) -> str:
        return f"{self._file.label}[{row}]"

    def row_bytes(self) -> int | None:
        return sum(row_bytes_of(m.shape, m.dtype) for m in self._columns.values())
