"""What ComfyUI calls the functions of its node classes, and the order of their parameters.

Packs call them by name and by position: `VAEDecode().decode(vae, samples)`.
"""

from __future__ import annotations

from collections.abc import Mapping

_BY_FUNCTION: Mapping[str, str] = {
    "encode": "CLIPTextEncode VAEEncode VAEEncodeTiled VAEEncodeForInpaint InpaintModelConditioning "
    "InstructPixToPixConditioning CLIPVisionEncode CLIPTextEncodeSDXL CLIPTextEncodeSDXLRefiner "
    "CLIPTextEncodeControlnet",
    "combine": "ConditioningCombine MaskComposite",
    "addWeighted": "ConditioningAverage",
    "concat": "ConditioningConcat",
    "append": "ConditioningSetArea ConditioningSetAreaPercentage ConditioningSetAreaStrength "
    "ConditioningSetMask GLIGENTextBoxApply",
    "zero_out": "ConditioningZeroOut",
    "set_range": "ConditioningSetTimestepRange",
    "decode": "VAEDecode VAEDecodeTiled",
    "save": "SaveLatent CheckpointSave CLIPSave VAESave ModelSave LoraSave",
    "load": "LoadLatent",
    "load_checkpoint": "CheckpointLoader CheckpointLoaderSimple DiffusersLoader unCLIPCheckpointLoader",
    "set_last_layer": "CLIPSetLastLayer",
    "load_lora": "LoraLoader",
    "load_lora_model_only": "LoraLoaderModelOnly",
    "load_vae": "VAELoader",
    "load_controlnet": "ControlNetLoader DiffControlNetLoader",
    "apply_controlnet": "ControlNetApply ControlNetApplyAdvanced ControlNetApplySD3",
    "set_controlnet_type": "SetUnionControlNetType",
    "load_unet": "UNETLoader",
    "load_clip": "CLIPLoader DualCLIPLoader CLIPVisionLoader",
    "load_style_model": "StyleModelLoader",
    "apply_stylemodel": "StyleModelApply",
    "apply_adm": "unCLIPConditioning",
    "load_gligen": "GLIGENLoader",
    "load_hypernetwork": "HypernetworkLoader",
    "load_model": "UpscaleModelLoader",
    "generate": "EmptyLatentImage EmptyImage",
    "frombatch": "LatentFromBatch ImageFromBatch",
    "repeat": "RepeatLatentBatch RepeatImageBatch",
    "rebatch": "RebatchLatents RebatchImages",
    "upscale": "LatentUpscale LatentUpscaleBy ImageScale ImageScaleBy ImageScaleToTotalPixels "
    "ImageUpscaleWithModel",
    "rotate": "LatentRotate",
    "flip": "LatentFlip",
    "composite": "LatentComposite LatentCompositeMasked ImageCompositeMasked PorterDuffImageComposite",
    "blend": "LatentBlend",
    "blend_images": "ImageBlend",
    "blur": "ImageBlur",
    "sharpen": "ImageSharpen",
    "quantize": "ImageQuantize",
    "detect_edge": "Canny",
    "crop": "LatentCrop ImageCrop CropMask",
    "set_mask": "SetLatentNoiseMask",
    "op": "LatentAdd LatentSubtract LatentMultiply LatentInterpolate LatentBatchSeedBehavior "
    "LatentApplyOperation LatentOperationTonemapReinhard LatentOperationSharpen",
    "sample": "KSampler KSamplerAdvanced SamplerCustom SamplerCustomAdvanced",
    "save_images": "SaveImage PreviewImage",
    "load_image": "LoadImage LoadImageMask LoadImageOutput",
    "invert": "ImageInvert InvertMask",
    "batch": "ImageBatch LatentBatch",
    "expand_image": "ImagePadForOutpaint",
    "solid": "SolidMask",
    "feather": "FeatherMask",
    "expand_mask": "GrowMask",
    "mask_to_image": "MaskToImage",
    "image_to_mask": "ImageToMask ImageColorToMask ThresholdMask",
    "join_image_with_alpha": "JoinImageWithAlpha",
    "split_image_with_alpha": "SplitImageWithAlpha",
    "merge": "ModelMergeSimple ModelMergeBlocks ModelMergeAdd ModelMergeSubtract CLIPMergeSimple "
    "CLIPMergeAdd CLIPMergeSubtract",
    "patch": "ModelSamplingDiscrete ModelSamplingContinuousEDM ModelSamplingContinuousV RescaleCFG FreeU "
    "FreeU_V2 HyperTile PatchModelAddDownscale TomePatchModel PerturbedAttentionGuidance "
    "SelfAttentionGuidance PerpNeg UNetSelfAttentionMultiply UNetCrossAttentionMultiply "
    "UNetTemporalAttentionMultiply CLIPAttentionMultiply VideoLinearCFGGuidance VideoTriangleCFGGuidance "
    "TorchCompileModel",
    "apply": "DifferentialDiffusion",
    "get_guider": "BasicGuider CFGGuider DualCFGGuider PerpNegGuider",
    "get_noise": "RandomNoise DisableNoise",
    "add_noise": "AddNoise",
    "get_sampler": "KSamplerSelect SamplerEulerAncestral SamplerEulerAncestralCFGPP SamplerLMS "
    "SamplerDPMPP_2S_Ancestral SamplerDPMPP_SDE SamplerDPMPP_2M_SDE SamplerDPMPP_3M_SDE SamplerDPMAdaptative "
    "SamplerER_SDE SamplerSASolver",
    "get_sigmas": "BasicScheduler KarrasScheduler ExponentialScheduler PolyexponentialScheduler "
    "LaplaceScheduler VPScheduler BetaSamplingScheduler SDTurboScheduler AlignYourStepsScheduler "
    "GITSScheduler LTXVScheduler SplitSigmas SplitSigmasDenoise FlipSigmas",
}

FUNCTIONS: Mapping[str, str] = {
    name: function for function, names in _BY_FUNCTION.items() for name in names.split()
}
"""Class to the name of its function."""

ORDERS: Mapping[str, tuple[str, ...]] = {
    name: tuple(parameters.split())
    for name, parameters in {
        "CLIPTextEncode": "clip text",
        "ConditioningSetMask": "conditioning mask set_cond_area strength",
        "VAEDecode": "vae samples",
        "VAEDecodeTiled": "vae samples tile_size overlap temporal_size temporal_overlap",
        "VAEEncode": "vae pixels",
        "VAEEncodeTiled": "vae pixels tile_size overlap temporal_size temporal_overlap",
        "VAEEncodeForInpaint": "vae pixels mask grow_mask_by",
        "InpaintModelConditioning": "positive negative pixels vae mask noise_mask",
        "GLIGENTextBoxApply": "conditioning_to clip gligen_textbox_model text width height x y",
        "LatentComposite": "samples_to samples_from x y feather",
        "CLIPTextEncodeSDXL": "clip width height crop_w crop_h target_width target_height text_g text_l",
        "CLIPTextEncodeSDXLRefiner": "clip ascore width height text",
    }.items()
}
"""Class to its function's parameters, where they come in another order than the inputs."""

_CORE = """
CLIPTextEncode ConditioningCombine ConditioningAverage ConditioningConcat ConditioningSetArea
ConditioningSetAreaPercentage ConditioningSetAreaStrength ConditioningSetMask ConditioningZeroOut
ConditioningSetTimestepRange VAEDecode VAEDecodeTiled VAEEncode VAEEncodeTiled VAEEncodeForInpaint
InpaintModelConditioning SaveLatent LoadLatent CheckpointLoader CheckpointLoaderSimple
DiffusersLoader unCLIPCheckpointLoader CLIPSetLastLayer LoraLoader LoraLoaderModelOnly VAELoader
ControlNetLoader DiffControlNetLoader ControlNetApply ControlNetApplyAdvanced UNETLoader CLIPLoader
DualCLIPLoader CLIPVisionLoader CLIPVisionEncode StyleModelLoader StyleModelApply unCLIPConditioning
GLIGENLoader GLIGENTextBoxApply EmptyLatentImage LatentFromBatch RepeatLatentBatch LatentUpscale
LatentUpscaleBy LatentRotate LatentFlip LatentComposite LatentBlend LatentCrop SetLatentNoiseMask
KSampler KSamplerAdvanced SaveImage PreviewImage LoadImage LoadImageMask LoadImageOutput ImageScale
ImageScaleBy ImageInvert ImageBatch EmptyImage ImagePadForOutpaint
"""

CORE = frozenset(_CORE.split())
"""The classes that ComfyUI's module `nodes` itself defines; the others are in its `comfy_extras`."""
