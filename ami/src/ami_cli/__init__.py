"""The command line of the AMI reference system: starts, watches, decodes and measures it."""
