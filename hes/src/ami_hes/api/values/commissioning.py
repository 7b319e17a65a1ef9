"""What `/api/v1/campaigns/commissioning` takes."""

from __future__ import annotations

from ami_hes.api.values.campaigns import Chosen


class CommissionOrder(Chosen):
    """Meters to be commissioned; `all_new`: those that never were begun, in place of names and a group; of many the first by name."""

    all_new: bool = False
