"""How examples are drawn in all tests: nothing fails because the machine is busy. The seed is an option (pyproject.toml)."""

from hypothesis import HealthCheck, settings

settings.register_profile("unhurried", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")
