"""Take a payment through Stable Mint; see it arrive in the bank through Stables.

The map, from the inside out. Imports point one way, towards the top of this list, and a test says so.

Rules, standard library only::

    errors          every exception a caller may catch, as one tree
    rules/          money, states, ledger, waits: what may happen, and nothing about how

Edges, one outside thing each::

    config          every setting, complete or refused (environment: one variable; pem: key forms)
    signing         who sent these bytes                sealing       encryption at rest
    store/          tables, transactions, every query   providers/    the wire: Stable Mint, Stables, storefronts
    destinations/   where money can go: corridors, bank fields, addresses, countries

Use cases, without a framework::

    paying/         a request becomes a paid order: payments, sessions, what a shopper sees
    inbox, events   a delivery is stored; later it moves something (receiving: one deposit's news)
    treasury        evidence that money arrived (evidence_import: many at once; late_news: news that never came)
    paying_out/     propose, quote, mandate, transfer, reveal, fund, home
    refunding/      money back to the shopper, sent once
    enrolling/      the merchant and its bank accounts at Stables
    explaining/     statements, reports, the evidence bundle
    cases, recovery what waits for a person, and the way out
    telling/        what storefronts are told: messages, endpoints, turns, sending again
    stores, people  who sells, who acts                 restoring     after a backup came back
    api_keys        whose request this is, and may it (allowances: how many in a minute)
    worker          the loop that does what is due      context       what each use case is given

Doors::

    web/            HTTP and pages                      commands/     the command line (cli: all of it)
    simulator/      both providers and a demo shop; shares no wire or signing code
    app             the only place that knows every part
"""
