"""What a request costs us, against the least it could cost. ``python -m benchmarks`` runs it."""
