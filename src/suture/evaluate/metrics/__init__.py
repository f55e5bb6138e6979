"""One metric a file, each with its settings as a signature."""
