"""The API of the process: its meters, what goes wrong with them, its clock, and what happens, over HTTP with a token.

It is imported only where it is served: FastAPI and the Prometheus client cost more memory than many meters.
"""
