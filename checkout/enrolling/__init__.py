"""The merchant at Stables: its customer, its payout accounts, its webhooks."""
