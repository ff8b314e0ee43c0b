"""The drill: faults that are injected for real into a trial copy of a service, while callers ask it all the time."""
