"""Speech in, text out: encoders, adapters and block-parallel diffusion decoding."""

import os

# The library that runs the models reports to its maker unless this is set before it is loaded.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
