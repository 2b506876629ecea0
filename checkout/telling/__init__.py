"""Telling the storefront: what is said, to whom, in whose turn, how often, and what came back."""
