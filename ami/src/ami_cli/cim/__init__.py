"""`ami cim`: what a CIM message of any sender is, what is wrong with it, what it means, and what our head-end would answer."""
