"""What may happen to money, and nothing about how: standard library only, no clock, no environment, no I/O."""
