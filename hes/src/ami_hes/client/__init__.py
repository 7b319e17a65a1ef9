"""What the sub-commands of `hes` ask a running head-end over its REST API, and how they show the answer."""
