"""The engine in the visitor's own browser: its files, its search by code, its panels."""
