"""Settings that all tests share."""

from __future__ import annotations

try:
    from hypothesis import HealthCheck, settings
except ModuleNotFoundError:  # the environments of the trainers have none
    pass
else:
    # How long something takes never decides whether a test passes: the machine may be busy.
    settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("any machine")
