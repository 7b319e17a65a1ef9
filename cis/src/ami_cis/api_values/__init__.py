"""What the REST API takes and gives, in JSON: a module for each subject, without the routes (`api` and those below it), so that a command that asks loads nothing of the process."""
