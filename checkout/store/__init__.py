"""The database: tables, engine, transactions and every query. The only user of SQLAlchemy.

The database decides every race: unique keys, compare-and-swap, row locks, lease tokens. Functions here say what is
wanted in the words of the domain and take the open transaction (:class:`checkout.store.engine.Unit`) as an argument.
"""
