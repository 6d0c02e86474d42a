"""Sound in: sources, voice activity, end-pointing."""
