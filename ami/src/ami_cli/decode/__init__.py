"""`ami decode` and `ami encode`: octets in any form that people have them, shown as trees or one per line, and back."""
