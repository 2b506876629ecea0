"""Doors of HTTP: views translate, call one verb and answer; no SQL and no decision about money."""
