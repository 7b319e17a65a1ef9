"""The command line over the API of a running process: `meter-sim meters`, `fault`, `scenario`, `snapshot`, `clock`."""
