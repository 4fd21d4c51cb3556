"""Measurements: each script here is run by itself, and prints a table or JSON lines."""
