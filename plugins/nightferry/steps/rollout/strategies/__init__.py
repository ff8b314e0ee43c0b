"""How users come to a new release: all at once, or by shares that are judged one after the other. Strategies know a
`Target` alone; what carries the service is under it."""
