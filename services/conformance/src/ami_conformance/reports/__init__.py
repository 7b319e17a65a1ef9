"""What a run found, in the forms that people and programs read; all of them are made of the same results."""
