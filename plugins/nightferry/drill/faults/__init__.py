"""The faults, a module for each kind; those that are quick first."""
