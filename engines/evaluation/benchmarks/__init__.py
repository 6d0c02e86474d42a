"""VoiceBench, MMSU and MMAU, run end to end: data in, answers, scores, a report."""
