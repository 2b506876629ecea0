"""``python -m checkout``: the same as the ``checkout`` command."""

from __future__ import annotations

from checkout.cli import main

if __name__ == "__main__":
    main()
