"""The server's side of a connection and its associations."""
