"""What is typed, set, or written into job files and plugins comes back harmless."""

from pathlib import Path

import pytest
from hostile import CORPUS, NASTY, check, file_name, plain, unsafe

TYPED = """
X | status X | status --X | status X X | retry RUN --kind X | retry RUN --chunks X
retry RUN --set X | logs RUN --level X | logs RUN --grep X( | logs RUN --worker X | show RUN X
show RUN text --as X | compare X RUN | report X -o X | predict X | predict --set X
predict --set X=X | predict --source X | predict --source a.npy --model X --output o.zarr
plan X --no-probe | plan --set source.kind=X | config show --set predictor.version=X
config check --set schedule.workers=X | config schema --source X | config X | init X | completion X
runs X | failures RUN --kind X | plan --source DATA --model model.py:predict --output X.zarr
"""
"""Commands with something hostile in place of X."""


@pytest.mark.parametrize("line", TYPED.replace("|", "\n").strip().splitlines(), ids=str.strip)
def test_what_is_typed_comes_back_harmless(sdk, hostile, line, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    words = line.split()
    for attack in CORPUS:
        # What a shell can hand over: no NUL, and bytes that are no UTF-8 as Python shows them.
        attack = attack.replace("\x00", "").replace("\ud800", "")
        for extra in ((), ("--json",)):
            typed = [
                {"RUN": hostile, "DATA": f"data{NASTY}.jsonl"}.get(word, word.replace("X", attack))
                for word in words
            ]
            check(sdk(*typed, *extra))


@pytest.mark.parametrize("attack", CORPUS)
def test_the_environment_comes_back_harmless(sdk, monkeypatch, attack):
    text = plain(attack).replace("\x00", "")
    for name in ("FORETELL_SCHEDULE__WORKERS", "FORETELL_SOURCE__KIND", "FORETELL_WRITER__NOPE"):
        with monkeypatch.context() as patch:
            patch.setenv(name, text)
            check(
                sdk("config", "show", "--source", "a.npy", "--model", "m:f", "--output", "o.zarr")
            )
            check(sdk("config", "check", "--json"))
    for name in ("TERM", "LANG", "NO_COLOR", "FORETELL_CACHE_DIR"):
        monkeypatch.setenv(name, text or "x")
    check(sdk("doctor"))


def test_job_files_with_hostile_names_keys_and_values(sdk, here):
    def quoted(text):
        return '"' + "".join(f"\\U{ord(c):08x}" for c in plain(text)) + '"'

    for attack in CORPUS:
        name = file_name(attack) or "x"
        for text in (
            f"version = 1\n[source]\npath = {quoted(attack)}\n"
            f"[predictor]\nmodel = {quoted(attack)}\n",
            f"version = 1\n[source]\n{quoted(attack)} = 1\n",
            f"{quoted(attack)} = 1\n",
            f"version = {quoted(attack)}\n",
            f"version = 1\n[source]\nkind = {quoted(attack)}\n",
            "not toml \x1b[2J = = \u202e",
        ):
            Path(f"{name}.toml").write_text(text, encoding="utf-8")
            for words in (
                ("config", "show"),
                ("config", "check", "--json"),
                ("plan", "--no-probe"),
            ):
                check(sdk(*words, f"{name}.toml"))


def test_plugins_with_hostile_names_and_summaries(sdk, monkeypatch):
    from foretell.cli import parts
    from foretell.hookspecs import hookimpl
    from foretell.plugins.manager import load_plugins
    from foretell.types import Entry

    attack = "".join(CORPUS)

    class Strange:
        @hookimpl
        def register_sources(self):
            return [Entry("fine", attack, "a:b"), Entry(attack, attack, attack), attack]

        @hookimpl
        def register_commands(self):
            return [Entry("strange", attack, "a:b", extra=attack)]

        @hookimpl
        def register_writers(self):
            raise ValueError(attack)

    plugins = load_plugins({"FORETELL_DISABLE_PLUGINS": "1"}, [(attack, Strange())])
    monkeypatch.setattr(parts, "_plugins", lambda disabled: plugins)
    for words in (("plugins",), ("plugins", "--json"), ("--help",), ("strange",), ("doctor",),
                  ("config", "schema", "--source", "fine")):  # fmt: skip
        check(sdk(*words))


def test_shell_completion_offers_no_hostile_name(sdk, cache, monkeypatch):
    from foretell.cli.options import RunType
    from foretell.store.recent import remember_run

    monkeypatch.setenv("FORETELL_CACHE_DIR", str(cache))
    for attack in CORPUS:
        remember_run(f"/runs/{attack}")
    remember_run("/runs/fine")
    offered = [str(item.value) for item in RunType().shell_complete(None, None, "/runs/")]  # type: ignore[arg-type]
    assert "/runs/fine" in offered
    assert unsafe("".join(offered)) == []
    assert not any("\n" in name for name in offered)
