"""One task = one file: prompt, split, metrics, protocol and its source."""
