"""From a storefront's request to a paid order: payments, their sessions, and what a shopper sees."""
