from assistant.testing import assistant

__all__ = ["assistant"]

collect_ignore = ["package"]
