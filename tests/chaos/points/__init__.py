"""A process of ours that can be told, while it runs, to die at a named point, or to see another time than the machine's."""
