"""Which module of `comfy_extras` has which of our node classes."""

from __future__ import annotations

import re
from typing import Any

_TABLE = """
nodes_advanced_samplers:
nodes_align_your_steps: AlignYourStepsScheduler
nodes_apg: APG
nodes_attention_multiply: UNetSelfAttentionMultiply UNetCrossAttentionMultiply CLIPAttentionMultiply
    UNetTemporalAttentionMultiply
nodes_canny: Canny
nodes_cfg: CFGZeroStar CFGNorm
nodes_clip_sdxl: CLIPTextEncodeSDXL CLIPTextEncodeSDXLRefiner
nodes_compositing: PorterDuffImageComposite SplitImageWithAlpha JoinImageWithAlpha
nodes_cond: CLIPTextEncodeControlnet
nodes_controlnet: SetUnionControlNetType ControlNetInpaintingAliMamaApply
nodes_custom_sampler: BasicScheduler CFGGuider DualCFGGuider BasicGuider RandomNoise DisableNoise AddNoise
    KarrasScheduler ExponentialScheduler PolyexponentialScheduler LaplaceScheduler VPScheduler
    BetaSamplingScheduler SDTurboScheduler KSamplerSelect SamplerEulerAncestral SamplerEulerAncestralCFGPP
    SamplerLMS SamplerDPMPP_3M_SDE SamplerDPMPP_2M_SDE SamplerDPMPP_SDE SamplerDPMPP_2S_Ancestral
    SamplerDPMAdaptative SamplerER_SDE SamplerSASolver SplitSigmas SplitSigmasDenoise FlipSigmas
    SetFirstSigma ExtendIntermediateSigmas SamplingPercentToSigma SamplerCustom SamplerCustomAdvanced
nodes_differential_diffusion: DifferentialDiffusion
nodes_freelunch: FreeU FreeU_V2
nodes_fresca: FreSca
nodes_gits: GITSScheduler
nodes_hooks: ConditioningSetProperties SetClipHooks CreateHookLora CreateHookLoraModelOnly
    CreateHookModelAsLora CreateHookModelAsLoraModelOnly CombineHooks2 CombineHooks4 CombineHooks8
    CreateHookKeyframe CreateHookKeyframesInterpolated CreateHookKeyframesFromFloats SetHookKeyframes
    PairConditioningSetProperties PairConditioningCombine ConditioningSetDefaultCombine
    ConditioningTimestepsRange
nodes_hypernetwork: HypernetworkLoader
nodes_hypertile: HyperTile
nodes_images: ImageCrop RepeatImageBatch ImageFromBatch SaveAnimatedWEBP SaveAnimatedPNG
nodes_ip2p: InstructPixToPixConditioning
nodes_latent: LatentAdd LatentSubtract LatentMultiply LatentInterpolate LatentBatch
    LatentBatchSeedBehavior LatentApplyOperation LatentApplyOperationCFG LatentOperationTonemapReinhard
    LatentOperationSharpen
nodes_lt: LTXVScheduler
nodes_mahiro: Mahiro
nodes_mask: LatentCompositeMasked ImageCompositeMasked MaskToImage ImageColorToMask SolidMask InvertMask
    CropMask MaskComposite FeatherMask GrowMask ThresholdMask ImageToMask
nodes_model_advanced: ModelSamplingDiscrete ModelSamplingContinuousEDM ModelSamplingContinuousV RescaleCFG
    ModelComputeDtype RenormCFG
nodes_model_downscale: PatchModelAddDownscale
nodes_model_merging: ModelMergeSimple ModelMergeBlocks ModelMergeAdd ModelMergeSubtract CheckpointSave
    CLIPMergeSimple CLIPMergeAdd CLIPMergeSubtract CLIPSave VAESave ModelSave
nodes_morphology: Morphology
nodes_optimalsteps: OptimalStepsScheduler
nodes_pag: PerturbedAttentionGuidance
nodes_perpneg: PerpNeg PerpNegGuider
nodes_post_processing: ImageBlend ImageBlur ImageQuantize ImageSharpen ImageScaleToTotalPixels
nodes_rebatch: RebatchLatents RebatchImages
nodes_sag: SelfAttentionGuidance
nodes_stable3d:
nodes_tcfg: TCFG
nodes_tomesd: TomePatchModel
nodes_upscale_model: UpscaleModelLoader ImageUpscaleWithModel
nodes_video_model: VideoLinearCFGGuidance VideoTriangleCFGGuidance
"""
_CLASSES = {
    name: names.split() for name, names in re.findall(r"^(\w+):((?:.*\n(?:    .*\n)*))", _TABLE, re.MULTILINE)
}
# Classes whose names in Python are not those of nodes.
_ALIASES = {
    "Blend": "ImageBlend",
    "Blur": "ImageBlur",
    "Quantize": "ImageQuantize",
    "Sharpen": "ImageSharpen",
}


def classes(module: str) -> dict[str, Any]:
    """The node classes of a host module, in ComfyUI's first form."""
    from comfykit.compat.host import nodes

    every = nodes.NODE_CLASS_MAPPINGS
    name = module.rpartition(".")[2]
    found = {one: every[one] for one in _CLASSES[name] if one in every}
    if name == "nodes_post_processing":
        found |= {alias: every[one] for alias, one in _ALIASES.items() if one in every}
    return found
