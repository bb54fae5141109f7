"""What the store holds, and a picture of what the model wrote."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from foretell.text import size

from foretell_tui.desk import Desk, Effect
from foretell_tui.line import Line, left, right
from foretell_tui.panes.base import ListPane, Pane, in_parts, paragraph
from foretell_tui.pictures import Picture, Wanted

if TYPE_CHECKING:
    from foretell.store.contents import Contents, Node

VIEWS = ("auto", "numbers", "text", "table", "image", "line", "histogram")


class Preview(Pane):
    """A picture of one chunk of one output, read when it is asked for."""

    name: ClassVar[str] = "preview"
    acts: ClassVar[tuple[str, ...]] = (
        "view_as", "previous_chunk", "next_chunk", "follow", "left", "right", "open", "pager",
    )  # fmt: skip

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.output = ""
        self.view = "auto"
        self.index = 0
        self.picture: Picture | None = None
        self.asked = False

    @property
    def title(self) -> str:
        picture = self.picture
        if picture is None or picture.chunk < 0:
            return f"Preview  {self.output}".rstrip()
        shown = "" if self.view == "auto" else f"  as {self.view}"
        return f"Preview  {picture.name}  chunk {picture.chunk:,}{shown}"

    @property
    def hint(self) -> str:
        return "[ ] chunk  v view as  arrows row or channel  f latest  o open in"

    def body(self, width: int, height: int) -> Sequence[Line]:
        picture = self.picture
        if picture is None:
            return [[(text, "dim")] for text in paragraph(self._invitation(), width)]
        lines: list[Line] = [[(picture.note, "warn")]] if picture.note else []
        if picture.preview is not None:
            lines += drawn(picture.preview, width, self.desk)
        return lines[:height]

    def _invitation(self) -> str:
        if self.asked:
            return "reading a chunk"
        if self.desk.view.totals.done == 0:
            return "no chunk is done yet: a picture of the first one can be shown here"
        return "v reads one chunk and shows it"

    def wanted(self, chunk: int | None = None, step: int = 0) -> Wanted:
        """What is asked of the reader."""
        return Wanted(
            self.output, chunk, step, self.view, self.index, max(20, self.width),
            max(4, self.height - 2),
        )  # fmt: skip

    def ask(self, chunk: int | None = None, step: int = 0) -> None:
        """Read a chunk, the latest by default, in the reader's thread."""
        wanted = self.wanted(chunk, step)
        self.asked = True
        self.desk.emit(
            Effect("job", "preview", self.show, lambda reader: reader.pictures.picture(wanted))
        )

    def show(self, picture: Any) -> None:
        """Take what was read."""
        if isinstance(picture, Picture):
            self.picture = picture
            self.output = picture.name

    @property
    def _chunk(self) -> int | None:
        return self.picture.chunk if self.picture is not None and self.picture.chunk >= 0 else None

    def do_view_as(self) -> None:
        if self.picture is not None:
            self.view = VIEWS[(VIEWS.index(self.view) + 1) % len(VIEWS)]
            self.index = 0
        self.ask(self._chunk)

    def do_previous_chunk(self) -> None:
        self.ask(self._chunk, -1)

    def do_next_chunk(self) -> None:
        self.ask(self._chunk, 1)

    def do_follow(self) -> None:
        self.ask()

    def do_open(self) -> None:
        self.ask(self._chunk)

    def do_left(self) -> None:
        self.index = max(0, self.index - 1)
        self.ask(self._chunk)

    def do_right(self) -> None:
        self.index += 1
        self.ask(self._chunk)

    def do_pager(self) -> None:
        from foretell.previews.drawing import lines_of

        if self.picture is not None and self.picture.preview is not None:
            self.desk.emit(Effect("pager", "\n".join(lines_of(self.picture.preview, 200))))


def drawn(preview: Any, width: int, desk: Desk) -> list[Line]:
    """A preview as lines: images in colour where there is any, all else as text."""
    from foretell.previews import Image
    from foretell.previews.cells import half_blocks
    from foretell.previews.drawing import lines_of
    from foretell.previews.statistics import number

    if not isinstance(preview, Image) or not (desk.look.halves and desk.look.shaded):
        texts = lines_of(preview, width, ascii_only=desk.look.ascii)
        if preview.title:
            texts[0] = in_parts(preview.title, width, desk.look.dots)
        return [[(text, _role(text))] for text in texts]
    title = in_parts(preview.title, width, desk.look.dots)
    lines: list[Line] = [[(title, "title")]] if title else []
    lines += [[(f"! {warning}", "warn")] for warning in preview.warnings]
    for row in half_blocks(preview):
        lines.append([(cell.char, _colours(cell)) for cell in row[:width]])
    if not preview.categories and preview.levels.ndim == 2:
        lines.append([(f"{number(preview.low)} .. {number(preview.high)}", "dim")])
    return lines


def _role(text: str) -> str:
    return "warn" if text.startswith("! ") else ""


def _colours(cell: Any) -> str:
    ink = "" if cell.ink is None else "#{:02x}{:02x}{:02x}".format(*cell.ink)
    paper = "" if cell.paper is None else "on#{:02x}{:02x}{:02x}".format(*cell.paper)
    return f"{ink} {paper}".strip()


class Results(ListPane):
    """The tree of the store."""

    name: ClassVar[str] = "results"
    acts: ClassVar[tuple[str, ...]] = (*ListPane.acts, "open", "copy", "open_in", "refresh")

    def __init__(self, desk: Desk, preview: Preview) -> None:
        super().__init__(desk)
        self._preview = preview
        self.contents: Contents | None = None
        self.problem = ""
        self._nodes: list[Node] = []
        self._ways: Callable[[str], list[str]] | None = None
        self._asked = False
        self._moved = False

    @property
    def title(self) -> str:
        if self.contents is None:
            return "Results"
        return f"Results  {self.contents.kind}  {size(self.contents.bytes)} stored"

    @property
    def hint(self) -> str:
        return "enter previews it  o open in  y copy its path"

    def load(self) -> None:
        """Read what the store holds, once; in the reader's thread."""
        if not self._asked:
            self._asked = True
            self.desk.emit(
                Effect("job", "results", self.show, lambda reader: reader.pictures.contents())
            )

    def forget(self) -> None:
        """Another run is shown."""
        self.contents, self._nodes, self._asked, self.problem = None, [], False, ""
        self._moved = False
        self._preview.picture, self._preview.output, self._preview.asked = None, "", False

    def show(self, answer: Any) -> None:
        """Take what was read."""
        from foretell.store.contents import nodes_of

        self.contents, self._ways = answer
        self._nodes = list(nodes_of(answer[0]))

    def count(self) -> int:
        return len(self._nodes)

    def empty(self) -> str:
        return self.problem or "reading what the store holds"

    def head(self, width: int) -> list[Line]:
        if not self.count():
            return []
        return [[("  " + _cells(width - 2, "output", "dtype", "shape", "filled", "stored"), "dim")]]

    def row(self, number: int, width: int) -> Line:
        node = self._nodes[number]
        name = "  " * node.depth + node.name
        array = node.array
        if array is None:
            return [(f"{name}/", "bold")]
        shape = "x".join(str(extent) for extent in array.shape)
        stored = "" if array.bytes is None else size(array.bytes)
        filled = f"{int(array.filled * 1000) / 10:.1f} %"
        return [(_cells(width, name, array.dtype, shape, filled, stored, self.desk.look.dots), "")]

    def selected(self) -> None:
        self._moved = True

    def _follow(self) -> None:
        """Before anybody chose, the output that is previewed is the one that is selected."""
        names = [node.path for node in self._nodes]
        if not self._moved and self._preview.output in names:
            self.at = names.index(self._preview.output)

    def body(self, width: int, height: int) -> list[Line]:
        self._follow()
        facts = self._facts()
        if height < len(facts) + 6 or not self.count():
            return super().body(width, height)
        lines = super().body(width, height - len(facts) - 1)
        lines += [[] for _ in range(height - len(facts) - len(lines))]
        return [*lines, *facts]

    def _facts(self) -> list[Line]:
        """All of the output that is selected."""
        node = self.chosen()
        if node is None or node.array is None:
            return []
        array = node.array
        facts = [
            ("path", array.name),
            ("stored", "" if array.bytes is None else size(array.bytes)),
            ("chunks", "x".join(map(str, array.chunks))),
            ("shards", "x".join(map(str, array.shards))),
            ("dimensions", ", ".join(array.dims)),
            ("codecs", ", ".join(array.codecs)),
            *((name, str(value)) for name, value in list(array.attributes.items())[:4]),
        ]
        return [[(left(label, 12), "dim"), (text, "")] for label, text in facts if text]

    def chosen(self) -> Node | None:
        """The line that is selected."""
        return self._nodes[min(self.at, len(self._nodes) - 1)] if self._nodes else None

    def do_open(self) -> None:
        node = self.chosen()
        if node is not None and node.array is not None:
            self._preview.output, self._preview.index = node.path, 0
            self._preview.ask(self._preview._chunk)

    def do_copy(self) -> None:
        if (node := self.chosen()) is not None:
            self.desk.copy(f"{self.desk.run.rstrip('/')}/{node.path}", "path")

    def do_open_in(self) -> None:
        node = self.chosen()
        if node is None or node.array is None or self._ways is None:
            return
        ways = self._ways(node.path)
        self.desk.emit(Effect("pager", "\n\n".join(ways)))
        self.desk.copy(ways[0].partition(": ")[2], "the first of them")

    def do_refresh(self) -> bool:
        self._asked = False
        self.load()
        return False


def _cells(
    width: int, name: str, dtype: str, shape: str, filled: str, stored: str, dots: str = "…"
) -> str:
    parts = [left(dtype, 8, dots), right(filled, 8)]
    spare = width - 18 - 10
    for place, cell, cells in ((1, shape, 12), (2, stored, 9)):
        if spare > cells:
            parts.insert(place, right(cell, cells, dots))
            spare -= cells + 1
    room = max(6, width - sum(map(len, parts)) - len(parts))
    return " ".join([left(name, room, dots), *parts])
