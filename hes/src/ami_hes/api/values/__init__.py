"""What the API takes and gives, in JSON: a module for each subject, without the routes, so that who asks loads nothing of who answers."""
