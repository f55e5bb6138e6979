"""Items -> verdicts: forgetting, paired intervals, headroom, power; imports no torch."""
