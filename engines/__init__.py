"""Speech in, text out: encoders, adapters and block-parallel diffusion decoding."""
