"""`ami trace`: what happened for one request, asked of a running head-end and shown as a tree, or written for others."""
