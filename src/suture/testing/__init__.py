"""Shipped test kit: tiny models that build in a moment, without a network."""
