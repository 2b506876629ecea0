"""The command line, one module per noun: each parses, asks one use case, and says what happened and what to do next."""
