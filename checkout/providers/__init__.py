"""The two providers as their documentation describes them: signed requests out, tolerant answers in.

Nothing here decides about money. A call has three results (:mod:`checkout.providers.outcome`): yes, no, and
*we do not know*; no exception of the network leaves this package. Strict in what is sent, tolerant in what
is heard.
"""
