"""Text that a terminal would obey, and the judgement on what a command prints."""

import random
import unicodedata

CORPUS = [
    "\x1b[31mred\x1b[0m", "\x1b]0;owned\x07", "\x9d0;owned\x9c", "\x9b2J", "\x1b[2J\x1b[H",
    "\x1b]8;;http://evil\x1b\\text\x1b]8;;\x1b\\", "\x1b]52;c;ZXZpbA==\x07", "\x1b[6n\x1b[c",
    "\x1b[?1049h\x1b[?1000h", "\x1bPq#0;2;0;0;0\x1b\\", "\x1b(0\x0e\x0f", "fine\rERROR",
    "safe\x08\x08\x08\x08evil", "a\x00b", "a\x7fb", "\u202egpj.exe", "\u2066\u2067x\u2069",
    "a\u200bb\u2060e\ufefff", "x\U000e0041\U000e007f", "a\u2028b\u2029c\x85d", "\ud800x\udc80",
    "[bold red]not[/] {x} %s %(y)s", "$(touch pwned) `id` ; rm", "line\nerror[x]: forged\n",
    "\x1b", "\x90data\x9c", "\u0378\uffff\U0010ffff", "\ue000", "\u3164\u2800", "<script>alert(1)",
]  # fmt: skip
POOL = [
    *map(chr, range(0x20)), "\x7f", *map(chr, range(0x80, 0xA0)), "\u202e", "\u2066", "\u200b",
    "\ufeff", "\u2028", "\ud800", "\udfff", "\U000e0041", "[", "]", ";", "m", "\x1b[", "\x1b]", "a",
    "é", "日", "\\", "'", '"', "{", "}", "%", " ", "0", "/", "<",
]  # fmt: skip
COUNT = 10_000


def strings(count=COUNT, seed=7):
    """Random strings, the same ones every time."""
    chooser = random.Random(seed)
    return ["".join(chooser.choices(POOL, k=chooser.randint(1, 10))) for _ in range(count)]


def unsafe(text):
    """Characters that a terminal would obey or hide, judged without the code tested."""
    bad = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    return sorted({c for c in text if c != "\n" and unicodedata.category(c) in bad})


def check(result):
    """Nothing raw on either stream; a document is still one."""
    assert unsafe(result.out) == []
    assert unsafe(result.err) == []
    assert "error[bug]" not in result.err, result.err
    return result


def file_name(text):
    """Text as one part of a path, as far as a file system takes it."""
    return "".join(char for char in plain(text) if char not in "/\x00")


def plain(text):
    """Text without the halves of characters that neither TOML nor UTF-8 has."""
    return "".join(char for char in text if not 0xD800 <= ord(char) < 0xE000)


NASTY = file_name("".join(CORPUS[:8]) + "\u202e\n\x85")[:64]
