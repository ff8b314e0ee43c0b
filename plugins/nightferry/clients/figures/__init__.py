"""Adapters of `service_figures.ServiceFigures`: the pods' own pages, Prometheus, and an Envoy before them.

Each reads what one instance counted since it began (`counts`); what a release's instances counted together since they
were first looked at is kept in one place (`growth`).
"""
