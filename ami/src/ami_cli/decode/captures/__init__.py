"""Captures of networks: files read record by record, tunnels opened, TCP put together, frames found whatever the ports are."""
