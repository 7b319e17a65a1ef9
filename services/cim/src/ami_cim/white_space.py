"""What is white space in XML, for those who need nothing else of it."""

SPACE = "\t\n\r "
"""U+00A0 and its like are characters of a text."""
