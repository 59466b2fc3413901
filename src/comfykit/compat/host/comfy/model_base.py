"""`comfy.model_base`: the network of a model with what its family says, shared by all copies of the model."""

from __future__ import annotations

import contextlib
import enum
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from comfykit.compat import placing
from comfykit.compat.host.comfy import latent_formats
from comfykit.compat.host.comfy import model_sampling as sampling
from comfykit.compat.host.comfy.conds import CONDCrossAttn, CONDNoiseShape, CONDRegular
from comfykit.compat.host.comfy.patcher_extension import WrapperExecutor, WrappersMP, get_all_wrappers
from comfykit.compat.modules import MissingAttribute, lacking
from comfykit.compat.pack_run import PackRun
from comfykit.families.components import DiffusionModel
from comfykit.families.family import Scene
from comfykit.models.layers import timestep_embedding
from comfykit.models.unet import UNet


class ModelType(enum.Enum):
    """What a model predicts."""

    EPS = 1
    V_PREDICTION = 2
    V_PREDICTION_EDM = 3
    STABLE_CASCADE = 4
    EDM = 5
    FLOW = 6
    V_PREDICTION_CONTINUOUS = 7
    FLUX = 8
    IMG_TO_IMG = 9
    FLOW_COSMOS = 10


_KINDS: dict[ModelType, tuple[type, type]] = {
    ModelType.EPS: (sampling.ModelSamplingDiscrete, sampling.EPS),
    ModelType.V_PREDICTION: (sampling.ModelSamplingDiscrete, sampling.V_PREDICTION),
    ModelType.V_PREDICTION_EDM: (sampling.ModelSamplingContinuousEDM, sampling.V_PREDICTION),
    ModelType.EDM: (sampling.ModelSamplingContinuousEDM, sampling.EDM),
    ModelType.FLOW: (sampling.ModelSamplingDiscreteFlow, sampling.CONST),
    ModelType.V_PREDICTION_CONTINUOUS: (sampling.ModelSamplingContinuousV, sampling.V_PREDICTION),
    ModelType.FLUX: (sampling.ModelSamplingFlux, sampling.CONST),
    ModelType.IMG_TO_IMG: (sampling.ModelSamplingDiscrete, sampling.IMG_TO_IMG),
    ModelType.FLOW_COSMOS: (sampling.ModelSamplingCosmosRFlow, sampling.COSMOS_RFLOW),
}
_TYPES: dict[type, ModelType] = {
    sampling.EPS: ModelType.EPS,
    sampling.V_PREDICTION: ModelType.V_PREDICTION,
    sampling.EDM: ModelType.EDM,
    sampling.IMG_TO_IMG: ModelType.IMG_TO_IMG,
    sampling.COSMOS_RFLOW: ModelType.FLOW_COSMOS,
}


def model_sampling(model_config: Any, model_type: ModelType) -> Any:
    """Levels and parametrization of a type of model."""
    if model_type not in _KINDS:
        raise MissingAttribute(str(lacking("comfy.model_base", f"model_sampling({model_type.name})")))
    return type("ModelSampling_", _KINDS[model_type], {})(model_config)


def convert_tensor(extra: Any, dtype: torch.dtype, device: torch.device) -> Any:
    """A tensor on a device, in a type where it is of floating point; anything else as it is."""
    if not torch.is_tensor(extra):
        return extra
    return extra.to(device, dtype) if extra.is_floating_point() else extra.to(device)


def sdxl_pooled(args: dict[str, Any], noise_augmentor: Any = None) -> Tensor:
    """The pooled prompt of a conditioning."""
    pooled: Tensor = args["pooled_output"]
    return pooled


class Timestep(nn.Module):
    """Sinusoids of numbers [batch] -> [batch, dim]."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, t: Tensor) -> Tensor:
        """Embed."""
        return timestep_embedding(t, self.dim)


class BaseModel(nn.Module):
    """A network (`diffusion_model`), its latents (`latent_format`) and levels (`model_sampling`).

    `view_of` makes one for each network. Packs may subclass it by name; there is no way to build one from a
    configuration, because networks come from files here.
    """

    core: DiffusionModel
    model_sampling: Any
    diffusion_model: UNet
    latent_format: Any
    model_config: Any

    def __init__(
        self,
        model_config: Any = None,
        model_type: ModelType = ModelType.EPS,
        device: Any = None,
        unet_model: Any = None,
    ) -> None:
        super().__init__()
        raise MissingAttribute(str(lacking("comfy.model_base", f"{type(self).__name__}(model_config)")))

    @property
    def device(self) -> torch.device:
        """Where the network computes."""
        return placing.residency().device

    @property
    def manual_cast_dtype(self) -> torch.dtype | None:
        """None: weights are in the type that is computed in."""
        return None

    @property
    def current_patcher(self) -> Any:
        """The copy of the model that ran last, or that made this."""
        return self.__dict__.get("_patcher")

    @property
    def model_type(self) -> ModelType:
        """What the model predicts."""
        kinds = (kind for kind in type(self.model_sampling).__mro__ if kind in _TYPES)
        return _TYPES[next(kinds, sampling.EPS)]

    def get_dtype(self) -> torch.dtype:
        """The type that the network computes in."""
        own = self.core.dtype
        return placing.residency().dtype("unet") if own is None else own

    def get_dtype_inference(self) -> torch.dtype:
        """The type that is computed in."""
        return self.get_dtype()

    def is_adm(self) -> bool:
        """Whether the network takes a vector beside the timestep."""
        return self.adm_channels > 0

    @property
    def adm_channels(self) -> int:
        """The width of that vector."""
        return self.diffusion_model.config.adm_in_channels or 0

    @property
    def inpaint_model(self) -> bool:
        """Whether the network is shown a masked picture beside the latent."""
        return len(self.concat_keys) > 0

    @property
    def concat_keys(self) -> tuple[str, ...]:
        """What it is shown beside the latent."""
        more = self.diffusion_model.config.in_channels > self.latent_format.latent_channels
        return ("mask", "masked_image") if more else ()

    def process_latent_in(self, latent: Tensor) -> Tensor:
        """From the VAE's scale to the model's."""
        scaled: Tensor = self.latent_format.process_in(latent)
        return scaled

    def process_latent_out(self, latent: Tensor) -> Tensor:
        """From the model's scale to the VAE's."""
        unscaled: Tensor = self.latent_format.process_out(latent)
        return unscaled

    def memory_required(self, input_shape: Any, cond_shapes: Any = None) -> float:
        """About how many bytes a call takes for x of a shape, as ComfyUI estimates for fused attention."""
        area = input_shape[0] * input_shape[2] * input_shape[3] if len(input_shape) > 3 else 0
        return float(area * self.get_dtype().itemsize * 0.01 * 1024 * 1024 / 100)

    def extra_conds_shapes(self, **options: Any) -> dict[str, list[int]]:
        """Sizes of further inputs, by which ComfyUI estimates memory: none."""
        return {}

    def extra_conds(self, **options: Any) -> dict[str, Any]:
        """The network's inputs for the options of a conditioning, as packs find them in `model_conds`."""
        noise = options["noise"]
        latent = options.get("latent_image")
        scene = Scene(
            noise if latent is None else latent,
            noise,
            options.get("denoise_mask"),
            self.diffusion_model.config,
            self.core.family.latent_format,
            options.get("seed") or 0,
        )
        side = 1 if options.get("prompt_type") == "negative" else 0
        found: dict[str, Any] = {}
        for name, value in self.core.family.model_inputs(options, side, scene).items():
            lies = value.ndim == noise.ndim
            found["c_concat" if name == "concat" else name] = (CONDNoiseShape if lies else CONDRegular)(value)
        if options.get("cross_attn") is not None:
            found["c_crossattn"] = CONDCrossAttn(options["cross_attn"])
        return found

    def encode_adm(self, **options: Any) -> Tensor | None:
        """The vector beside the timestep for the options of a conditioning."""
        found = self.extra_conds(**options).get("y") if self.is_adm() else None
        return None if found is None else found.cond

    def concat_cond(self, **options: Any) -> Tensor | None:
        """What the network is shown beside the latent."""
        found = self.extra_conds(**options).get("c_concat")
        return None if found is None else found.cond

    def scale_latent_inpaint(
        self, sigma: Tensor, noise: Tensor, latent_image: Tensor, **further: Any
    ) -> Tensor:
        """The state of the known latent at sigma."""
        scaled: Tensor = self.model_sampling.noise_scaling(sigma, noise, latent_image)
        return scaled

    def state_dict_for_unet(self) -> dict[str, Tensor]:
        """The network's weights by the names of checkpoints."""
        return {
            f"model.diffusion_model.{name}": value
            for name, value in self.diffusion_model.state_dict().items()
        }

    def state_dict_for_saving(
        self,
        clip_state_dict: dict[str, Tensor] | None = None,
        vae_state_dict: dict[str, Tensor] | None = None,
        clip_vision_state_dict: dict[str, Tensor] | None = None,
    ) -> dict[str, Tensor]:
        """The weights of a checkpoint."""
        return {**self.state_dict_for_unet(), **(clip_state_dict or {}), **(vae_state_dict or {})}

    def apply_model(
        self,
        x: Tensor,
        t: Tensor,
        c_concat: Tensor | None = None,
        c_crossattn: Tensor | None = None,
        control: Any = None,
        transformer_options: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> Tensor:
        """Predict x0 from x at the levels t."""
        options = transformer_options or {}
        executor = WrapperExecutor.new_class_executor(
            self._apply_model, self, get_all_wrappers(WrappersMP.APPLY_MODEL, options)
        )
        found: Tensor = executor.execute(x, t, c_concat, c_crossattn, control, options, **kwargs)
        return found

    def _apply_model(
        self,
        x: Tensor,
        t: Tensor,
        c_concat: Tensor | None = None,
        c_crossattn: Tensor | None = None,
        control: Any = None,
        transformer_options: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> Tensor:
        extra = {name: value for name, value in kwargs.items() if name == "y" and value is not None}
        if c_concat is not None:
            extra["concat"] = c_concat
        if c_crossattn is None:
            raise ValueError("apply_model of a U-Net needs c_crossattn, the embedding of a prompt")
        return self.run().evaluate(x, t, c_crossattn, extra, control, transformer_options or {})

    def run(self) -> PackRun:
        """The run that is under way, else one for a single call."""
        found: PackRun | None = self.__dict__.get("_run")
        return self.new_run(self.current_patcher) if found is None else found

    def new_run(self, patcher: Any) -> PackRun:
        """A run of the model as a patcher has it."""
        model = self.core if patcher is None else patcher.engine_model()
        return PackRun(self, replace(model, host=None), placing.residency())

    @contextlib.contextmanager
    def running(self, run: PackRun) -> Iterator[None]:
        """Within, the run is under way."""
        before = self.__dict__.get("_run")
        self.__dict__["_run"] = run
        try:
            yield
        finally:
            self.__dict__["_run"] = before

    def forward(self, *args: Any, **kwargs: Any) -> Tensor:
        """As `apply_model`."""
        return self.apply_model(*args, **kwargs)


class SD21UNCLIP(BaseModel):
    """SD 2.1 unCLIP."""


class SDXL(BaseModel):
    """SDXL."""


class SDXLRefiner(BaseModel):
    """The SDXL refiner."""


_CLASSES: dict[str, type[BaseModel]] = {
    "sd21_unclip": SD21UNCLIP,
    "sdxl": SDXL,
    "sdxl_refiner": SDXLRefiner,
}

# Models that comfykit does not run: nothing is an instance of these, and they cannot be made.
for _name in [
    "SVD_img2vid",
    "SV3D_u",
    "SV3D_p",
    "Stable_Zero123",
    "SD_X4Upscaler",
    "IP2P",
    "SD15_instructpix2pix",
    "SDXL_instructpix2pix",
    "StableCascade_C",
    "StableCascade_B",
    "SD3",
    "AuraFlow",
    "StableAudio1",
    "HunyuanDiT",
    "PixArt",
    "Flux",
    "GenmoMochi",
    "LTXV",
    "HunyuanVideo",
    "HunyuanVideoI2V",
    "HunyuanVideoSkyreelsI2V",
    "CosmosVideo",
    "CosmosPredict2",
    "Lumina2",
    "WAN21",
    "WAN21_Vace",
    "WAN21_Camera",
    "WAN22",
    "Hunyuan3Dv2",
    "HiDream",
    "Chroma",
    "ACEStep",
    "Omnigen2",
    "QwenImage",
    "HunyuanImage21 Anima",
]:
    globals()[_name] = type(
        _name,
        (BaseModel,),
        {"__module__": __name__, "__doc__": "A kind of model that comfykit does not run."},
    )


class CLIPEmbeddingNoiseAugmentation:
    """Noise on what a vision encoder makes of pictures; only a name to compare with."""


def view_of(core: DiffusionModel) -> Any:
    """The view of a model's network; the same for all copies of the model."""
    network = core.network
    known: BaseModel | None = network.__dict__.get("_comfy_view")
    if known is not None:
        return known
    made = _CLASSES.get(core.family.name, BaseModel).__new__(_CLASSES.get(core.family.name, BaseModel))
    nn.Module.__init__(made)
    levels, parametrization = core.family.levels(), core.family.parametrization
    made.core = replace(core, levels=levels, parametrization=parametrization, host=None)
    made.diffusion_model = network
    made.latent_format = latent_formats.of(core.family.latent_format)
    made.model_sampling = sampling.view_of(levels, parametrization)
    made.model_config = config_of(core)
    # Not as an attribute: the network would take the view for a part of its own.
    network.__dict__["_comfy_view"] = made
    return made


def config_of(core: DiffusionModel) -> Any:
    """A model's configuration, with the words that packs look up in it."""
    from comfykit.compat.host.comfy.supported_models import of

    return of(core)
