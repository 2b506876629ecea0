"""Every cent, in words and figures: reports, statements, the evidence bundle, what waits where."""
