"""Money back to the shopper: asked for, approved, sent once, followed."""
