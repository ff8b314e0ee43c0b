"""Parts under the supervisor: started, asked whether they work, started again."""
