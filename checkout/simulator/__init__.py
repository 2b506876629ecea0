"""Both providers and the demo shop, misbehaving on request: for the demo and the tests, never in live mode.

It is a process of its own and shares no wire or signing code with the service: it is written from the
providers' documents alone, so that a mistake in the service's recipe cannot agree with itself. Of ours it
imports nothing but ``checkout.rules.money`` and ``checkout.errors``.

    options       what it is told                     wire        HTTP/1.1 server with keep-alive, recording
    server        the process: Servers, run           recorder    traffic as it came and went
    surroundings  what each provider is given         moments     the kill switch and its rules
    clock         real time, shortened waits          callers     whose connection this is
    scheduler     what happens later, in lanes        switches    one dataclass of switches per provider
    deliveries    webhooks, retries, their log        control     the /_control/ routes all providers share

    stable_mint/  StableMintState(surroundings), create_app(state)
    stables/      StablesState(surroundings), create_app(state)
    shop/         create_app(options)

A provider's package offers a state class, made from its
:class:`~checkout.simulator.surroundings.Surroundings` and with a ``close()``, and ``create_app(state)``,
which registers ``control_blueprint(...)`` beside its own routes.
"""
