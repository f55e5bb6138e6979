"""The only code that opens weight files: header, reader, writer, digest, tokenizer, manifest, loading a model."""
