"""MLflow's model registry, by plain REST: no package of MLflow is needed where Nightferry runs. ADR 32 says why."""
