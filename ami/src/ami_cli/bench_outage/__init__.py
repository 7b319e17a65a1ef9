"""`ami bench-outage`: a burst of last gasps from simulated meters by way of the HES to a subscriber, and what became of each."""
