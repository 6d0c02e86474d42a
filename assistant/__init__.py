"""A streaming voice assistant: sound becomes a turn, a turn becomes a reply."""

import os

# The library that runs the models reports to its maker unless this is set before it is loaded.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
