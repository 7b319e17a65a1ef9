"""`ami watch`: a running system in the terminal, from what the APIs of its head-end and its CIS say."""
