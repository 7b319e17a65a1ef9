"""How octets reach the simulated meters and leave them: listeners, connections, meters that dial in, pushes."""
