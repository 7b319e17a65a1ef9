"""What `/api/v1/scalers` answers."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class ForgottenScalers(BaseModel):
    """How many scaler_units of a meter are not known any more: what it gives with its next reading is known from then on."""

    model_config = ConfigDict(frozen=True)

    name: str
    scaler_units: int
