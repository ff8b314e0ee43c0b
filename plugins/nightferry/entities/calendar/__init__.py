"""Calendars: when nothing new is released, and which nights are coming. All of it is pure: the time is given, and so
are a country's holidays."""
