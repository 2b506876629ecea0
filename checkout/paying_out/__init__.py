"""From free treasury to the bank: propose, quote, mandate, transfer, reveal, fund, follow home, resolve."""
