"""Which type of number a device computes with."""

import torch


def fastest(device: str) -> torch.dtype:
    """Return bfloat16 where the hardware multiplies it, else float32.

    Half precision is not among them: processors emulate it, hundreds of times slower.
    """
    if device == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    able = torch.cpu.get_capabilities()
    return torch.bfloat16 if able.get("avx512_bf16") or able.get("amx_bf16") else torch.float32


def suited(stored: torch.dtype, device: str) -> torch.dtype:
    """Return what weights of a stored type are computed in: what is exact is not made coarser.

    A GPU takes bfloat16 for all of them.
    """
    if device == "cpu" and stored not in (torch.bfloat16, torch.float16):
        return torch.float32
    return fastest(device)
