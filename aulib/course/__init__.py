"""What the course's notebooks use beside the library: one module a lesson, with its figures and the checks
of its exercises; `exercises` is what all checks share."""
