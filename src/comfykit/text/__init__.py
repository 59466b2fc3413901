"""Prompts: from what a person writes to the embeddings that a denoiser is conditioned on.

`prompt` reads weights, `tokenizer` makes ids, `chunks` packs them for an encoder and asks `embeddings`
for textual inversions, `clip` encodes the chunks.
"""
