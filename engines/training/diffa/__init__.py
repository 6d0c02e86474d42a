"""DIFFA's two stages on the published shapes: Whisper, the adapters, a frozen LLaDA.

What nano's stages of the same names are at a hundredth of the size. Source: arXiv 2507.18452.
"""
