"""The tests by the groups of the plan: in each module one function a test, and a table of which function is which test."""
