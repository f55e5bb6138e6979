"""One YAML that names models, merges, shots, tasks: a graph of content-addressed steps."""
