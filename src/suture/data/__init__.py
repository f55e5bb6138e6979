"""Records, readers of the official formats, the synthetic clinic, leakage checks; imports no torch."""
