"""`ami bench-fleet`: what a population of simulated meters costs, from a thousand meters to a million."""
