"""Readers of the official formats: files as their authors publish them -> items; one file for each kind of data."""
