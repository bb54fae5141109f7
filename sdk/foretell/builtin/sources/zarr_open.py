"""Opens Zarr arrays, local or on an object store, and refuses what must not be decoded."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from foretell.abc import SourceOptions
from foretell.builtin.sources.files import (
    local_path,
    missing,
    near_names,
    opening,
    setting,
)
from foretell.errors import LoadError
from foretell.redact import redact_url
from foretell.text import clip, visible

if TYPE_CHECKING:
    import zarr
    from zarr.abc.store import Store

CODECS = frozenset(
    {
        "bytes",
        "endian",
        "transpose",
        "sharding_indexed",
        "crc32c",
        "blosc",
        "gzip",
        "zstd",
        "vlen-utf8",
        "vlen-bytes",
    }
    # Of version 2 and of numcodecs, without those that hold Python objects.
    | {
        "zlib",
        "lz4",
        "bz2",
        "lzma",
        "shuffle",
        "delta",
        "fixedscaleoffset",
        "quantize",
        "packbits",
        "astype",
        "bitround",
        "categorize",
        "crc32",
        "adler32",
        "fletcher32",
        "jenkins_lookup3",
        "vlen-array",
        "json2",
        "msgpack2",
        "base64",
        "pcodec",
        "zfpy",
    }
)
"""Codecs that are decoded. ``pickle`` above all is not: it would run whatever the data says."""

_LISTED = 30
_RETRIES = 5


@dataclass(frozen=True, slots=True)
class Node:
    """What a path led to.

    Attributes:
        store: The zarr store.
        root: Path or URL of the store, for people.
        inner: Path of the node within the store.
        node: The array or group.
    """

    store: Store
    root: str
    inner: str
    node: zarr.Array[Any] | zarr.Group


def open_node(options: SourceOptions) -> Node:
    """The array or group the ``path`` setting means.

    A path that ends inside a store (``tiles.zarr/rgb``) is opened at that array, its group known.

    Raises:
        LoadError: nothing there, not Zarr, or not readable.
    """
    path = options.path or ""
    if "://" in path and not path.startswith("file://"):
        return _open_remote(options)
    path = local_path(options, "zarr")
    if os.path.isfile(path):
        raise _not_zarr(path, "a Zarr store is a folder, this is a file", options)
    if not os.path.isdir(path):
        raise missing(path, options)
    root = path
    while _is_node(os.path.dirname(root)) and os.path.dirname(root) != root:
        root = os.path.dirname(root)
    with opening(path):
        from zarr.storage import LocalStore

        store = LocalStore(root, read_only=True)
        return _open(store, root, os.path.relpath(path, root), options)


def _is_node(folder: str) -> bool:
    names = ("zarr.json", ".zgroup", ".zarray")
    return any(os.path.exists(os.path.join(folder, name)) for name in names)


def _open_remote(options: SourceOptions) -> Node:
    url = (options.path or "").rstrip("/")
    split = urlsplit(url)
    if split.scheme != "s3" or "::" in url or split.query or split.fragment or "@" in split.netloc:
        raise LoadError(
            "the zarr source reads local folders and s3://bucket/prefix",
            facts=[("path", visible(redact_url(url)))],
            tries=[("credentials and endpoint", "come from the AWS_* variables")],
            slug="source-scheme",
        )
    from foretell.store.s3client import build

    bucket = build(split.netloc, "", writing=False, retries=_RETRIES)
    from foretell.builtin.sources.zarr_objects import BucketObjects

    store = BucketObjects(bucket, read_only=True)
    return _open(store, f"s3://{split.netloc}", split.path.strip("/"), options)


def _open(store: Any, root: str, inner: str, options: SourceOptions) -> Node:
    import zarr

    inner = "" if inner == "." else inner
    try:
        node = zarr.open(store=store, path=inner, mode="r")
    except Exception as error:
        where = f"{root}/{inner}".rstrip("/")
        reason = "no zarr.json, .zarray or .zgroup is there"
        if not isinstance(error, FileNotFoundError):
            reason = clip(f"{type(error).__name__}: {error}", 300)
        raise _not_zarr(where, reason, options) from error
    return Node(store, root, inner, node)


def _not_zarr(path: str, reason: str, options: SourceOptions) -> LoadError:
    return LoadError(
        "no Zarr array can be opened here",
        facts=[("path", visible(path)), ("reason", reason), setting(options)],
        slug="source-not-zarr",
    )


def choose_arrays(
    node: Node, wanted: Iterable[str], options: SourceOptions
) -> dict[str, zarr.Array[Any]]:
    """The arrays to read, by name.

    Args:
        node: What the path led to.
        wanted: Paths below it; for a group without any, its only array.
        options: The settings, for errors.

    Raises:
        LoadError: no such array, a group with several and none chosen, a codec that is refused.
    """
    import zarr

    wanted = list(wanted)
    if isinstance(node.node, zarr.Array):
        if wanted and wanted != [node.inner.rpartition("/")[2]]:
            raise _no_array(wanted[0], [], options)
        return {node.inner.rpartition("/")[2]: _safe(node.node, node, options)}
    names = wanted or [path for path, _ in _arrays(node.node, depth=1)]
    if not wanted and len(names) == 2 and "foretell" in node.node.attrs:
        # The store of a run with one output, which is what is meant.
        names = [name for name in names if name != "valid"]
    if not wanted and len(names) != 1:
        raise LoadError(
            "the group holds several arrays" if names else "the group holds no array",
            facts=[("arrays", _listing(node.node)), setting(options)],
            tries=[(f'--set source.array="{visible(name)}"', "") for name in names[:3]],
            slug="source-array",
        )
    return {name: _safe(_member(node.node, name, options), node, options) for name in names}


def _member(group: zarr.Group, name: str, options: SourceOptions) -> zarr.Array[Any]:
    import zarr

    try:
        found: Any = group[name]
    except (KeyError, FileNotFoundError) as error:
        raise _no_array(name, [path for path, _ in _arrays(group)], options) from error
    except Exception as error:
        raise _not_zarr(name, clip(f"{type(error).__name__}: {error}", 300), options) from error
    if not isinstance(found, zarr.Array):
        raise _no_array(name, [path for path, _ in _arrays(group)], options)
    return found


def _arrays(group: zarr.Group, depth: int = 3) -> Iterator[tuple[str, Any]]:
    import zarr

    try:
        with warnings.catch_warnings():
            # Other files in the store's folder are nobody's concern here.
            warnings.simplefilter("ignore")
            members = sorted(group.members(max_depth=depth - 1), key=lambda member: member[0])
    except Exception:
        return
    for path, member in members:
        if isinstance(member, zarr.Array):
            yield path, member


def _listing(group: zarr.Group) -> str:
    lines = [f"{visible(p)} {a.dtype} {a.shape}" for p, a in _arrays(group)]
    more = [f"and {len(lines) - _LISTED} more"] if len(lines) > _LISTED else []
    return "\n".join(lines[:_LISTED] + more) or "none"


def _no_array(name: str, known: list[str], options: SourceOptions) -> LoadError:
    listed = visible(", ".join(known[:_LISTED])) or "none"
    return LoadError(
        "the store has no such array",
        facts=[("array", visible(name)), ("arrays", listed), setting(options)],
        tries=[(f'--set source.array="{visible(n)}"', "") for n in near_names(name, known)],
        slug="source-array",
    )


def _safe(array: zarr.Array[Any], node: Node, options: SourceOptions) -> zarr.Array[Any]:
    """Refuse codecs that are not known to be harmless, nor trusted by the settings."""
    trusted = CODECS.union(getattr(options, "codecs", ())) - {"pickle"}
    for name in codec_names(array):
        if name not in trusted:
            tries = [(f'codecs = ["{visible(name)}"]', "if you trust the data and what decodes it")]
            raise LoadError(
                "an array is stored with a codec that is not decoded",
                facts=[
                    ("codec", visible(name)),
                    ("array", visible(f"{node.root}/{array.path}")),
                    setting(options),
                ],
                tries=tries if name != "pickle" else [("convert the array", "it can run code")],
                slug="source-codec",
            )
    return array


def codec_names(array: zarr.Array[Any]) -> Iterator[str]:
    """Names of all codecs of an array, those inside shards included, as its metadata has them."""
    pending = [array.metadata.to_dict()]
    while pending:
        value: Any = pending.pop()
        for key in ("codecs", "index_codecs", "filters", "compressor"):
            found = value.get(key)
            for codec in found if isinstance(found, list | tuple) else [found]:
                config = codec if isinstance(codec, dict) else _config(codec)
                if config:
                    name = str(config.get("id") or config.get("name"))
                    yield name.removeprefix("numcodecs.")
                    pending.append(config.get("configuration") or {})


def _config(codec: Any) -> dict[str, Any]:
    if codec is None:
        return {}
    return dict(codec.get_config() if hasattr(codec, "get_config") else codec.to_dict())
