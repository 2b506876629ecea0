"""Take a payment through Stable Mint; see it arrive in the bank through Stables."""
