"""Where money can go: corridors, addresses, bank fields, purpose codes, and the countries that are refused."""
