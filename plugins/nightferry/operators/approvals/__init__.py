"""The tasks of the DAGs that ask people: the questions, a reminder, going on with what was approved, and the end."""
