"""A streaming voice assistant: sound becomes a turn, a turn becomes a reply."""
