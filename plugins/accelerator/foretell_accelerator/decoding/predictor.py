"""``kind = "generate"``: prompts to text, by a decoder on any target.

The decoder is one of transformers (``model_name_or_path``, or ``config_name`` with
``checkpoint_name``), one of your own (``model``: a ``torch.nn.Module`` or JAX function of
``input_ids``, ``attention_mask``, ``position_ids`` that gives logits ``(B, L, V)``, or what gives
one), or the one in ``artifact``.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from foretell import rows as rowops
from foretell.abc import Predictor
from foretell.digest import hash_file, hash_path
from foretell.errors import ConfigError, RowFailure
from foretell.imports import module_file
from foretell.types import Batch, Examples, OutputSpec

from foretell_accelerator.decoding import pretrained, tokens
from foretell_accelerator.decoding.loop import Generated, Limits, Request, fitting_length
from foretell_accelerator.decoding.sampling import Sampling
from foretell_accelerator.manifest import Manifest, read_manifest
from foretell_accelerator.predictor import ArtifactPredictor
from foretell_accelerator.settings import ArtifactOptions, GenerateOptions

PADDING = -1
"""Stands after a row's last token."""


class GeneratePredictor(Predictor):
    """Text after prompts.

    Args:
        options: Settings.
        model: A live decoder instead of ``options.model``.

    Raises:
        ConfigError: no decoder is named, or two are.
        LoadError: a file does not exist.
        ArtifactError: the artifact is missing or damaged.
    """

    Options = GenerateOptions
    model_kind: ClassVar[str] = "generate"
    default_deployer: ClassVar[str] = "accelerator"
    default_target: ClassVar[str] = "torch"

    def __init__(self, options: GenerateOptions, *, model: Any = None) -> None:
        self.options = options
        pretrained.check(options)
        self._own: ArtifactPredictor | None = None
        if options.model is not None or model is not None:
            shared = options.model_dump(include={"model", "options", "version"})
            if options.checkpoint is not None or options.checkpoint_name is not None:
                shared["checkpoint"] = pretrained.checkpoint_of(options)
            own = ArtifactOptions(**shared).at(options.base_dir)
            self._own = ArtifactPredictor(own, model=model)
        if self.artifact is None and not self.has_model:
            raise ConfigError(
                "the job names no decoder",
                facts=[("missing", "predictor.model_name_or_path")],
                tries=[
                    ('model_name_or_path = "FOLDER"', "a pretrained one of transformers"),
                    ('config_name = "config.json"', "with checkpoint_name"),
                    ('artifact = "DIR"', "what sdk compile made"),
                ],
                slug="config-model",
            )
        self._manifest = None if self.artifact is None else read_manifest(self.artifact)
        self._lock = threading.Lock()
        self._tokenizer: tokens.Tokenizer | None = None
        self._lengths: tuple[int, ...] | None = None

    @classmethod
    def from_live(
        cls,
        options: Any,
        *,
        model: Any = None,
        collate: Callable[[Any], Any] | None = None,
        postprocess: Callable[[Any], Any] | None = None,
    ) -> GeneratePredictor:
        """Build the predictor around a live decoder."""
        return cls(options, model=model)

    @property
    def artifact(self) -> str | None:
        """Absolute path of the artifact."""
        given = self.options.artifact
        return None if given is None else self.options.resolve(given)

    @property
    def has_model(self) -> bool:
        """Whether the decoder itself is there, beside or instead of an artifact."""
        options = self.options
        named = options.model_name_or_path is not None or options.config_name is not None
        return named or self._own is not None

    # --- the decoder ----------------------------------------------------------------------------

    def load(self) -> Any:
        """The decoder, in evaluation mode."""
        model = pretrained.load(self.options) if self._own is None else self._own.load()
        self.learn(model)
        return model

    def learn(self, model: Any) -> None:
        """Take from a decoder what the settings leave open: how long its texts may be."""
        if self._lengths is None:
            self._lengths = self.grid_lengths(model)

    def grid_lengths(self, model: Any) -> tuple[int, ...]:
        """Lengths to compile for, ascending.

        Raises:
            ConfigError: nothing says how long.
        """
        options = self.options
        config = getattr(model, "config", None) or pretrained.local_config(options)
        room = pretrained.longest(config)
        if options.lengths:
            found = tuple(sorted(set(options.lengths)))
        elif options.max_seq_length is not None:
            found = (options.max_seq_length,)
        elif room is not None:
            found = (room,)
        else:
            raise ConfigError(
                "nothing says how long a text may be",
                facts=[("missing", "predictor.max_seq_length")],
                slug="config-length",
            )
        if found[0] < 1 or (room is not None and found[-1] > room):
            raise ConfigError(
                "the decoder has not so many positions",
                facts=[("length", str(found[-1])), ("positions", str(room))],
                slug="config-length",
            )
        return found

    @property
    def lengths(self) -> tuple[int, ...]:
        """Compiled lengths; known once an artifact is named or the decoder is loaded."""
        if self._manifest is not None:
            return tuple(self._decoder_facts()["lengths"])
        if self._lengths is None:
            self._lengths = self.grid_lengths(None)
        return self._lengths

    def set_lengths(self, lengths: tuple[int, ...]) -> None:
        """Say what was really compiled."""
        self._lengths = lengths

    @property
    def tokenizer(self) -> tokens.Tokenizer:
        """The tokenizer, loaded when first wanted."""
        with self._lock:
            if self._tokenizer is None:
                options = self.options
                setting, base = self._tokenizer_setting()
                cache = None if options.cache_dir is None else options.resolve(options.cache_dir)
                self._tokenizer = tokens.make_tokenizer(
                    setting, base, download=options.allow_download, cache_dir=cache
                )
            return self._tokenizer

    def _tokenizer_setting(self) -> tuple[str, Any]:
        options = self.options
        if options.tokenizer is not None:
            return options.tokenizer, options.base_dir
        if self._manifest is not None:
            known = str(self._decoder_facts()["tokenizer"])
            return known, Path(str(self.artifact))
        if options.model_name_or_path is not None:
            place = pretrained.place_of(options, "model_name_or_path")
            return str(place or options.model_name_or_path), options.base_dir
        raise ConfigError(
            "nothing says how text becomes tokens",
            facts=[("missing", "predictor.tokenizer")],
            tries=[('tokenizer = "bytes"', "for a decoder of bytes")],
            slug="config-tokenizer",
        )

    def _decoder_facts(self) -> Mapping[str, Any]:
        manifest: Manifest | None = self._manifest
        if manifest is None or manifest.decoder is None:
            raise ConfigError(
                "the artifact is no decoder",
                facts=[("predictor.artifact", str(self.options.artifact))],
                tries=[('kind = "artifact"', "runs it as it is")],
                slug="artifact-decoder",
            )
        return manifest.decoder

    # --- a batch --------------------------------------------------------------------------------

    def collate(self, examples: Examples) -> list[tuple[list[int], int]]:
        """Tokens of each prompt, and how many were cut from it.

        Raises:
            RowFailure: prompts that are no text, empty, or too long.
        """
        made: list[tuple[list[int], int]] = []
        for position, text in enumerate(self._prompts(examples)):
            made.append(self._tokens(position, text))
        return made

    def _prompts(self, examples: Examples) -> Sequence[Any]:
        if isinstance(examples, list) and all(isinstance(item, str) for item in examples):
            return examples
        found: Sequence[Any] = rowops.column(examples, self.options.prompt_key)
        return found

    def _tokens(self, position: int, text: Any) -> tuple[list[int], int]:
        if not isinstance(text, str):
            raise RowFailure([position], f"the prompt is {type(text).__name__}, not text")
        tokenizer = self.tokenizer
        found = tokenizer.encode(text)
        if not found:
            start = getattr(tokenizer, "start", None)
            if start is None:
                raise RowFailure([position], "the prompt is empty, and there is no start token")
            found = [int(start)]
        return self._cut(position, found)

    def _cut(self, position: int, found: list[int]) -> tuple[list[int], int]:
        options, longest = self.options, self.lengths[-1]
        most = options.max_tokens_to_generate
        if options.too_long == "refuse":
            if fitting_length(len(found), most, self.lengths) is None:
                text = f"the prompt has {len(found):,} tokens, compiled are {longest:,}"
                raise RowFailure([position], f'{text} (too_long = "cut-start" cuts it)')
            return found, 0
        room = max(1, longest + 1 - most)
        cut = max(0, len(found) - room)
        if cut:
            found = found[cut:] if options.too_long == "cut-start" else found[:room]
        return found, cut

    def sampling(self) -> Sampling:
        """How tokens are chosen."""
        options = self.options
        return Sampling(options.do_sample, options.temperature, options.top_k, options.top_p)

    def limits(self) -> Limits:
        """When a text ends."""
        stops = tokens.stop_ids(self.options.stop_tokens, self.tokenizer)
        return Limits(self.options.max_tokens_to_generate, stops)

    def predict(self, model: Any, batch: Batch) -> dict[str, Any]:
        """Generate after the real rows' prompts; filler rows are left empty."""
        real = np.flatnonzero(batch.mask).tolist()
        requests = [Request(batch.inputs[row][0], batch.keys[row]) for row in real]
        results = dict(zip(real, model.generate(requests), strict=True))
        return self._outputs(batch, results)

    def _outputs(self, batch: Batch, results: Mapping[int, Generated]) -> dict[str, Any]:
        size, most = batch.size, self.options.max_tokens_to_generate
        outputs: dict[str, Any] = {
            "text": [""] * size,
            "tokens": np.full((size, most), PADDING, dtype=np.int32),
            "length": np.zeros(size, dtype=np.int32),
            "prompt_length": np.zeros(size, dtype=np.int32),
            "cut": np.zeros(size, dtype=np.int32),
            "finish": [""] * size,
        }
        if self.options.logprobs:
            outputs["logprobs"] = np.zeros((size, most), dtype=np.float32)
            outputs["margin"] = np.zeros(size, dtype=np.float32)
        for row, result in results.items():
            prompt, cut = batch.inputs[row]
            count = len(result.tokens)
            outputs["text"][row] = self._text(prompt, result)
            outputs["tokens"][row, :count] = result.tokens
            outputs["length"][row] = count
            outputs["prompt_length"][row] = len(prompt)
            outputs["cut"][row] = cut
            outputs["finish"][row] = result.finish
            if self.options.logprobs:
                outputs["logprobs"][row, :count] = result.logprobs
                outputs["margin"][row] = result.margin
        return outputs

    def _text(self, prompt: Sequence[int], result: Generated) -> str:
        made = result.tokens[:-1] if result.finish == "stop" else result.tokens
        return self.tokenizer.decode([*prompt, *made] if self.options.keep_prompt else made)

    def output_specs(self) -> Sequence[OutputSpec]:
        """Text and why it ended, tokens with their number, what became of the prompt."""
        most = self.options.max_tokens_to_generate
        specs = [
            OutputSpec("text", (), "str"),
            OutputSpec("tokens", (most,), "int32", ("token",), {"padding": PADDING}),
            OutputSpec("length", (), "int32"),
            OutputSpec("prompt_length", (), "int32"),
            OutputSpec("cut", (), "int32"),
            OutputSpec("finish", (), "str"),
        ]
        if self.options.logprobs:
            specs.append(OutputSpec("logprobs", (most,), "float32", ("token",)))
            specs.append(OutputSpec("margin", (), "float32"))
        return specs

    # --- identity -------------------------------------------------------------------------------

    def fingerprint(self) -> Mapping[str, str]:
        """The artifact's own hash, the decoder's files, the tokenizer."""
        parts = dict(self.model_fingerprint())
        if self._manifest is not None:
            parts["artifact"] = self._manifest.hash
        parts |= self._tokenizer_identity()
        if self.options.version is not None:
            parts["version"] = self.options.version
        return parts or {"decoder": "none"}

    def _tokenizer_identity(self) -> dict[str, str]:
        setting = self.options.tokenizer
        if setting is None:
            return {}
        place = self.options.base_dir / setting
        if place.is_dir():
            return {"tokenizer": hash_path(place)}
        file = module_file(setting, self.options.base_dir) if ":" in setting else None
        parts = {"tokenizer": setting}
        return parts if file is None else parts | {"tokenizer.source": hash_file(file)}

    def model_fingerprint(self) -> Mapping[str, str]:
        """Parts that identify the decoder; empty when only an artifact is named."""
        if self._own is not None:
            return self._own.model_fingerprint()
        return pretrained.fingerprint(self.options)
