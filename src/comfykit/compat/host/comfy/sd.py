"""`comfy.sd`: CLIP and VAE as packs have them, and what loads models."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from comfykit.compat import placing
from comfykit.compat.host.comfy import clip_vision, model_detection, sd1_clip, sdxl_clip
from comfykit.compat.host.comfy.lora import as_weight_patch
from comfykit.compat.host.comfy.model_patcher import EnginePatcher, ModelPatcher
from comfykit.compat.modules import MissingAttribute, lacking
from comfykit.errors import ModelFileError
from comfykit.families import load as loading
from comfykit.families.components import Autoencoder, TextEncoder
from comfykit.families.load_text import load_text_encoder
from comfykit.families.lora import add_lora
from comfykit.families.save import checkpoint_tensors, model_spec
from comfykit.families.style import StyleModel, load_style
from comfykit.families.tiled_vae import Tiling
from comfykit.families.vision import embedded_vision
from comfykit.text.clip import EncodedPrompt
from comfykit.text.encoders import Embeddings, Prompts, without_embeddings
from comfykit.weights.detect import detect
from comfykit.weights.lora import parse_lora
from comfykit.weights.patch import Entry
from comfykit.weights.read import WeightsFile
from comfykit.weights.write import write_safetensors

__all__ = ["CLIP", "VAE", "CLIPType", "StyleModel", "model_detection"]

_ENCODERS: dict[frozenset[str], type[sd1_clip.SD1ClipModel]] = {
    frozenset({"clip_l", "clip_g"}): sdxl_clip.SDXLClipModel,
    frozenset({"clip_g"}): sdxl_clip.SDXLRefinerClipModel,
}
TEXT_MODEL = ".transformer.text_model."


class CLIPType(enum.Enum):
    """Kinds of models that text encoders are for."""

    STABLE_DIFFUSION = 1
    STABLE_CASCADE = 2
    SD3 = 3
    STABLE_AUDIO = 4
    HUNYUAN_DIT = 5
    FLUX = 6
    MOCHI = 7
    LTXV = 8
    HUNYUAN_VIDEO = 9
    PIXART = 10
    COSMOS = 11
    LUMINA2 = 12
    WAN = 13
    HIDREAM = 14
    CHROMA = 15
    ACE = 16
    OMNIGEN2 = 17
    QWEN_IMAGE = 18
    HUNYUAN_IMAGE = 19


class _ClipPatcher(EnginePatcher):
    """The patcher of a text encoder: weights and patches are those of the encoder."""

    clip: Any = None

    def add_patches(
        self, patches: Mapping[Any, Any], strength_patch: float = 1.0, strength_model: float = 1.0
    ) -> list[Any]:
        """Change weights of the encoder."""
        applied = super().add_patches(patches, strength_patch, strength_model)
        entries = {
            str(name).replace(TEXT_MODEL, "."): Entry(
                as_weight_patch(patches[name]), strength_patch, strength_model
            )
            for name in applied
        }
        core = self.clip.core
        self.clip.core = replace(core, patches=core.patches.with_entries(entries))
        return applied

    def load(self, device_to: Any = None, **further: Any) -> None:
        """Place the encoder, as it is now."""
        self.clip.core.place(placing.residency())


class CLIP:
    """A text encoder with its tokenizer."""

    core: TextEncoder
    cond_stage_model: Any
    tokenizer: Any
    patcher: Any

    def __init__(
        self, target: Any = None, embedding_directory: Any = None, no_init: bool = False, **options: Any
    ) -> None:
        self.layer_idx: int | None = None
        self.use_clip_schedule = False
        self.apply_hooks_to_conds: Any = None
        self.tokenizer_options: dict[str, Any] = {}
        if not no_init:
            raise MissingAttribute(str(lacking("comfy.sd", "CLIP(target)")))

    @classmethod
    def of(cls, core: TextEncoder) -> CLIP:
        """What packs get for one of ours."""
        if isinstance(core.encoder, PackEncoder):
            made: CLIP = core.encoder.clip.clone()
            made.core = replace(core, encoder=made.core.encoder)
            made.layer_idx = core.layer
            return made
        made = cls(no_init=True)
        made.core = core
        made.layer_idx = core.layer
        encoders: Any = getattr(core.encoder, "encoders", ())
        slots = frozenset(one.slot for one in encoders)
        made.cond_stage_model = _ENCODERS.get(slots, sd1_clip.SD1ClipModel).of(encoders)
        kind: Any = sdxl_clip.SDXLTokenizer if "clip_g" in slots else sd1_clip.SD1Tokenizer
        made.tokenizer = kind.of(encoders)
        patcher = _ClipPatcher(made.cond_stage_model, core.networks.values(), lambda: None)
        made._take_patcher(patcher)
        made._own = (made.tokenizer, made.cond_stage_model)
        return made

    _own: tuple[Any, Any] = (None, None)

    def _take_patcher(self, patcher: Any) -> None:
        self.patcher = patcher
        patcher.is_clip = True
        patcher.clip = self

    def engine_encoder(self) -> TextEncoder:
        """The text encoder for our nodes."""
        core = replace(self.core, layer=self.layer_idx)
        if (self.tokenizer, self.cond_stage_model) == self._own:
            return core
        return replace(core, encoder=PackEncoder(self))

    def clone(self) -> Any:
        """A copy that shares the networks."""
        made = type(self).__new__(type(self))
        made.__dict__.update(self.__dict__)
        made.tokenizer_options = dict(self.tokenizer_options)
        made._take_patcher(self.patcher.clone())
        return made

    def add_patches(
        self, patches: Mapping[Any, Any], strength_patch: float = 1.0, strength_model: float = 1.0
    ) -> list[Any]:
        """Change weights; returns the names that the encoder has."""
        found: list[Any] = self.patcher.add_patches(patches, strength_patch, strength_model)
        return found

    def clip_layer(self, layer_idx: int | None) -> None:
        """Read another layer."""
        self.layer_idx = layer_idx

    def set_tokenizer_option(self, option_name: str, value: Any) -> None:
        """Note an option."""
        self.tokenizer_options[option_name] = value

    def tokenize(self, text: str, return_word_ids: bool = False, **kwargs: Any) -> Any:
        """Chunks of tokens of a prompt, by encoder."""
        return self.tokenizer.tokenize_with_weights(
            text, return_word_ids, **{**self.tokenizer_options, **kwargs}
        )

    def load_model(self) -> Any:
        """Place the networks."""
        self.patcher.load()
        return self.patcher

    def encode_from_tokens(self, tokens: Any, return_pooled: Any = False, return_dict: bool = False) -> Any:
        """The embedding of tokens; with the pooled vector, or in a dict."""
        self.cond_stage_model.reset_clip_options()
        if self.layer_idx is not None:
            self.cond_stage_model.set_clip_options({"layer": self.layer_idx})
        self.load_model()
        with torch.no_grad():
            found = self.cond_stage_model.encode_token_weights(tokens)
        embedding, pooled = found[:2]
        if return_dict:
            more = found[2] if len(found) > 2 else {}
            return {"cond": embedding, "pooled_output": pooled, **more}
        return (embedding, pooled) if return_pooled else embedding

    def encode_from_tokens_scheduled(
        self,
        tokens: Any,
        unprojected: bool = False,
        add_dict: Mapping[str, Any] | None = None,
        show_pbar: bool = True,
    ) -> list[list[Any]]:
        """The conditioning of tokens, as on a link."""
        told = self.encode_from_tokens(tokens, return_pooled=True, return_dict=True)
        embedding = told.pop("cond")
        return [[embedding, {**told, **(add_dict or {})}]]

    def add_hooks_to_dict(self, pooled_dict: dict[str, Any]) -> dict[str, Any]:
        """Options of a conditioning with the hooks that are to go with them."""
        if self.apply_hooks_to_conds is not None:
            pooled_dict["hooks"] = self.apply_hooks_to_conds
        return pooled_dict

    def encode(self, text: str) -> Any:
        """The embedding of a prompt."""
        return self.encode_from_tokens(self.tokenize(text))

    def load_sd(self, sd: Mapping[str, Tensor], full_model: bool = False) -> Any:
        """Counted as missing: weights come from files."""
        raise MissingAttribute(str(lacking("comfy.sd", "CLIP.load_sd")))

    def get_sd(self) -> dict[str, Tensor]:
        """The weights."""
        found: dict[str, Tensor] = self.cond_stage_model.state_dict()
        return found

    def get_key_patches(self) -> Any:
        """Weights with the patches on them."""
        return self.patcher.get_key_patches()


class PackEncoder:
    """A text encoder that a pack gave another tokenizer or another model, for our nodes."""

    def __init__(self, clip: CLIP) -> None:
        self.clip = clip

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        """The networks of the encoder that it began with."""
        return self.clip.core.encoder.networks

    def encode(
        self, prompts: Prompts, embeddings: Embeddings = without_embeddings, layer: int | None = None
    ) -> EncodedPrompt:
        """Embed prompts in the pack's way."""
        if isinstance(prompts, str):
            tokens = self.clip.tokenize(prompts)
        else:
            tokens = {}
            for slot, prompt in prompts.items():
                key = slot.removeprefix("clip_")
                tokens[key] = self.clip.tokenize(prompt)[key]
        embedding, pooled = self.clip.encode_from_tokens(tokens, return_pooled=True)
        return EncodedPrompt(embedding, pooled)


class _FirstStage(nn.Module):
    """An autoencoder whose `encode` gives the latent."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.__dict__["engine"] = network
        for name, child in network.named_children():
            setattr(self, name, child)

    def encode(self, x: Tensor) -> Tensor:
        """Pictures in -1 to 1 to latents."""
        latent: Tensor = self.__dict__["engine"].to_latent(x)
        return latent

    def decode(self, z: Tensor, **further: Any) -> Tensor:
        """Latents to pictures in -1 to 1."""
        pixels: Tensor = self.__dict__["engine"].decode(z)
        return pixels

    def forward(self, x: Tensor) -> Tensor:
        """There and back."""
        return self.decode(self.encode(x))


class VAE:
    """An autoencoder."""

    core: Autoencoder

    def __init__(
        self,
        sd: Mapping[str, Tensor] | None = None,
        device: Any = None,
        config: Any = None,
        dtype: Any = None,
        **further: Any,
    ) -> None:
        if sd is None:
            raise MissingAttribute(str(lacking("comfy.sd", "VAE() without weights")))
        part = detect({name: tuple(tensor.shape) for name, tensor in sd.items()}).vae
        if part is None:
            raise ModelFileError("the tensors that a pack gives are those of no VAE that comfykit knows")
        self._become(loading.vae_of(_as_file(sd), part))

    @classmethod
    def of(cls, core: Autoencoder) -> VAE:
        """What packs get for one of ours."""
        made = cls.__new__(cls)
        made._become(core)
        return made

    def _become(self, core: Autoencoder) -> None:
        self.core = core
        self.first_stage_model: Any = _FirstStage(core.network)
        self.downscale_ratio = self.upscale_ratio = core.cell
        config = getattr(core.network, "config", None)
        self.latent_channels = getattr(config, "latent_channels", 4)
        self.latent_dim = 2
        self.output_channels = 3
        self.device, self.output_device = placing.residency().device, torch.device("cpu")
        self.vae_dtype = placing.residency().dtype("vae")
        self.working_dtypes = [self.vae_dtype]
        self.process_input = lambda image: image * 2.0 - 1.0
        self.process_output = lambda image: ((image + 1.0) / 2.0).clamp(0.0, 1.0)
        self.memory_used_encode = lambda shape, dtype: 1767.0 * shape[-2] * shape[-1] * dtype.itemsize
        self.memory_used_decode = lambda shape, dtype: 2178.0 * shape[-2] * shape[-1] * 64 * dtype.itemsize

        def place() -> None:
            placing.residency().place_part(core.network, "vae")

        self.patcher = EnginePatcher(self.first_stage_model, [core.network], place)

    def engine_vae(self) -> Autoencoder:
        """The autoencoder for our nodes."""
        return self.core

    def throw_exception_if_invalid(self) -> None:
        """One that could not be loaded was refused at once."""

    def spacial_compression_encode(self) -> int:
        """Pixels on a side for one of a latent."""
        return self.core.cell

    def spacial_compression_decode(self) -> int:
        """Pixels on a side for one of a latent."""
        return self.core.cell

    def temporal_compression_decode(self) -> int | None:
        """Pictures for one latent: those of no video."""
        return None

    def is_dynamic(self) -> bool:
        """Whether weights come and go while it computes."""
        return False

    def vae_encode_crop_pixels(self, pixels: Tensor) -> Tensor:
        """The middle of pictures whose sides are multiples of a cell."""
        from comfykit.families.components import cropped

        return cropped(pixels, self.core.cell)

    def encode(self, pixel_samples: Tensor) -> Tensor:
        """Latents of pictures [batch, height, width, channels]."""
        return self.core.encode(pixel_samples, placing.residency())

    def decode(self, samples_in: Tensor, vae_options: Any = None) -> Tensor:
        """Pictures of latents."""
        return self.core.decode(samples_in, placing.residency())

    def encode_tiled(
        self,
        pixel_samples: Tensor,
        tile_x: int | None = None,
        tile_y: int | None = None,
        overlap: int | None = None,
        **further: Any,
    ) -> Tensor:
        """Latents of pictures, in tiles measured in pixels."""
        return self.core.encode(
            pixel_samples, placing.residency(), Tiling(tile_x or 512, 64 if overlap is None else overlap)
        )

    def decode_tiled(
        self,
        samples: Tensor,
        tile_x: int | None = None,
        tile_y: int | None = None,
        overlap: int | None = None,
        **further: Any,
    ) -> Tensor:
        """Pictures of latents, in tiles measured in cells."""
        tiling = Tiling(max(2, tile_x or 64), 16 if overlap is None else overlap)
        return self.core.decode(samples, placing.residency(), tiling)

    def get_sd(self) -> dict[str, Tensor]:
        """The weights."""
        found: dict[str, Tensor] = self.first_stage_model.state_dict()
        return found


# Loaders


def _as_file(sd: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> WeightsFile:
    return WeightsFile(Path("the given tensors"), dict(sd), metadata or {})


def load_checkpoint_guess_config(
    ckpt_path: str,
    output_vae: bool = True,
    output_clip: bool = True,
    output_clipvision: bool = False,
    embedding_directory: Any = None,
    output_model: bool = True,
    model_options: Any = None,
    te_model_options: Any = None,
) -> tuple[Any, Any, Any, Any]:
    """Open a checkpoint: model, text encoder, VAE, and where asked for its vision encoder."""
    path = Path(ckpt_path)
    found = loading.load_checkpoint(path)
    return (
        ModelPatcher.of(found.model) if output_model else None,
        CLIP.of(found.clip) if output_clip else None,
        VAE.of(found.vae) if output_vae else None,
        clip_vision.ClipVisionModel.of(embedded_vision(path)) if output_clipvision else None,
    )


def load_checkpoint(
    config_path: Any = None,
    ckpt_path: str | None = None,
    output_vae: bool = True,
    output_clip: bool = True,
    **further: Any,
) -> tuple[Any, Any, Any]:
    """The same; configurations are not read."""
    found = load_checkpoint_guess_config(str(ckpt_path), output_vae, output_clip)
    return found[0], found[1], found[2]


def load_state_dict_guess_config(
    sd: Mapping[str, Tensor],
    output_vae: bool = True,
    output_clip: bool = True,
    output_clipvision: bool = False,
    embedding_directory: Any = None,
    output_model: bool = True,
    **further: Any,
) -> tuple[Any, Any, Any, Any]:
    """A checkpoint of tensors."""
    file = _as_file(sd)
    found = loading.assembled(file, detect(file.shapes))
    return ModelPatcher.of(found.model), CLIP.of(found.clip), VAE.of(found.vae), None


def load_diffusion_model(unet_path: str, model_options: Mapping[str, Any] | None = None) -> Any:
    """Open a diffusion model."""
    return ModelPatcher.of(loading.load_diffusion_model(Path(unet_path), (model_options or {}).get("dtype")))


def load_unet(unet_path: str, dtype: Any = None) -> Any:
    """The same."""
    return load_diffusion_model(unet_path, {"dtype": dtype})


def load_diffusion_model_state_dict(
    sd: Mapping[str, Tensor], model_options: Mapping[str, Any] | None = None, **further: Any
) -> Any:
    """A diffusion model of tensors; None where they are of none that is known."""
    file = _as_file(sd)
    try:
        found = detect(file.shapes)
        if found.unet is None:
            return None
        family = loading.family_of(file.path, found)
    except ModelFileError:
        return None
    return ModelPatcher.of(
        loading.diffusion_model_of(file, found.unet, family, (model_options or {}).get("dtype"))
    )


def load_unet_state_dict(sd: Mapping[str, Tensor], dtype: Any = None) -> Any:
    """The same."""
    return load_diffusion_model_state_dict(sd, {"dtype": dtype})


def load_clip(
    ckpt_paths: Sequence[str],
    embedding_directory: Any = None,
    clip_type: CLIPType = CLIPType.STABLE_DIFFUSION,
    model_options: Any = None,
) -> CLIP:
    """Open text encoders."""
    kind = "sdxl" if len(ckpt_paths) == 2 else clip_type.name.lower()
    return CLIP.of(load_text_encoder([Path(path) for path in ckpt_paths], kind))


def load_text_encoder_state_dicts(
    state_dicts: Sequence[Mapping[str, Tensor]] = (), *further: Any, **options: Any
) -> CLIP:
    """Counted as missing: text encoders come from files."""
    raise MissingAttribute(str(lacking("comfy.sd", "load_text_encoder_state_dicts")))


def load_lora_for_models(
    model: Any, clip: Any, lora: Mapping[str, Tensor], strength_model: float, strength_clip: float
) -> tuple[Any, Any]:
    """Copies of a model and a text encoder with a LoRA of tensors on them."""
    parsed = parse_lora(dict(lora))
    made, text = (None if one is None else one.clone() for one in (model, clip))
    if made is None:
        return made, text
    found = add_lora(
        parsed,
        made.core,
        None if text is None else text.core,
        strength_model=strength_model,
        strength_clip=strength_clip,
    )
    made.core = found.model
    made.patches_uuid = object()
    if text is not None and found.clip is not None:
        text.core = found.clip
    return made, text


def load_style_model(ckpt_path: str) -> StyleModel:
    """Open a style model."""
    return load_style(Path(ckpt_path))


def load_gligen(ckpt_path: str) -> Any:
    """Open a GLIGEN model."""
    from comfykit.families.gligen import load_gligen as load

    return load(Path(ckpt_path))


def save_checkpoint(
    output_path: str,
    model: Any,
    clip: Any = None,
    vae: Any = None,
    clip_vision: Any = None,
    metadata: Mapping[str, str] | None = None,
    extra_keys: Mapping[str, Tensor] | None = None,
) -> None:
    """Write a checkpoint."""
    model, clip, vae = model.engine_model(), clip.engine_encoder(), vae.engine_vae()
    path = Path(output_path)
    told = {**model_spec(model, path.stem), **(metadata or {})}
    write_safetensors(path, checkpoint_tensors(model, clip, vae, placing.residency()), told)
