"""`ami decode` and `ami encode`: octets in any form that people have them, told as trees or one per line, and back."""
