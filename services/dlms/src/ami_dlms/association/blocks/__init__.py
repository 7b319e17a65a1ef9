"""Long values: the block transfer of each service, and general block transfer."""
