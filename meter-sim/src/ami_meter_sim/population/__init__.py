"""Meters in great number: what each is follows from one seed and its index; what became of it is a row."""
