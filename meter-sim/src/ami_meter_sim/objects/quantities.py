"""What a model can put behind a register: the one table of quantities, by name, with unit and type.

Strategy: a quantity is a function of (metering, seconds), one second or an array of them, in a fine unit that divides the quantity's unit; what a
register shows is that, scaled by the model's scaler and cut to its type. Powers are the mean of the last minute, so they fit the energies.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ami_dlms.enums import DataTag
from ami_meter_sim.objects.metering import PHASES, POWER_WINDOW_S, TARIFFS, Flow, Metering, Seconds

WS_PER_WH = 3_600
MILLI = 1_000
QUADRANTS = range(1, 5)
CUBIC_METRE = 13
WATT, VOLT_AMPERE, VAR, WATT_HOUR, VOLT_AMPERE_HOUR, VAR_HOUR, AMPERE, VOLT, HERTZ, NO_UNIT = (
    27, 28, 29, 30, 31, 32, 33, 35, 44, 255
)  # fmt: skip
ENERGIES = (WATT_HOUR, VOLT_AMPERE_HOUR, VAR_HOUR)
"""Units of what adds up over time, so that a reset begins it anew."""
BITS = {
    DataTag.UNSIGNED: 8,
    DataTag.LONG_UNSIGNED: 16,
    DataTag.DOUBLE_LONG_UNSIGNED: 32,
    DataTag.LONG64_UNSIGNED: 64,
    DataTag.INTEGER: 8,
    DataTag.LONG: 16,
    DataTag.DOUBLE_LONG: 32,
    DataTag.LONG64: 64,
}
SIGNED = frozenset((DataTag.INTEGER, DataTag.LONG, DataTag.DOUBLE_LONG, DataTag.LONG64))
SCALERS = range(-6, 10)

Fine = Callable[[Metering, Seconds], Any]


@dataclass(frozen=True, slots=True)
class MeasuredQuantity:
    """`fine` / `denominator` is the value in the unit of `unit` (IEC 62056-6-2, table of units); `tag` its type if the model has none.

    `energy` is, of a power, the energy whose mean over a time it is, in watt-seconds. `captured_at`: the second at which a value was taken
    that is not of now.
    """

    what: str
    unit: int
    tag: DataTag
    fine: Fine
    denominator: int = 1
    energy: Fine | None = None
    captured_at: Fine | None = None

    def at(self, metering: Metering, seconds: Seconds) -> Any:
        """The value in its unit, cut to a whole number."""
        return self.fine(metering, seconds) // self.denominator

    def shown(self, fine: Any, scaler: int, tag: DataTag, roll_over: int = 0) -> Any:
        """What a register shows, at one second or at many: it begins again at `roll_over`, and where its type ends."""
        if scaler < 0:
            value = fine // self.denominator * 10**-scaler + fine % self.denominator * 10**-scaler // self.denominator
        else:
            value = fine // (self.denominator * 10**scaler)
        if roll_over:
            value = value % roll_over
        if BITS[tag] == 64:
            return value
        span = 1 << BITS[tag]
        return (value + span // 2) % span - span // 2 if tag in SIGNED else value % span


def _energy(what: str, unit: int, fine: Fine) -> MeasuredQuantity:
    return MeasuredQuantity(what, unit, DataTag.DOUBLE_LONG_UNSIGNED, fine, WS_PER_WH)


def _power(
    what: str, unit: int, energy: Fine, tag: DataTag = DataTag.DOUBLE_LONG_UNSIGNED, phase: int | None = None
) -> MeasuredQuantity:
    def fine(metering: Metering, seconds: Seconds) -> Any:
        return metering.flows(seconds, phase) * (energy(metering, seconds) - energy(metering, seconds - POWER_WINDOW_S))

    return MeasuredQuantity(what, unit, tag, fine, POWER_WINDOW_S, energy)


def _of_flow(flow: Flow) -> Fine:
    return lambda metering, seconds: metering.energy_ws(flow, seconds)


def _of_tariff(flow: Flow, tariff: int) -> Fine:
    return lambda metering, seconds: metering.tariff_ws(flow, tariff, seconds)


def _of_phase(flow: Flow, phase: int) -> Fine:
    return lambda metering, seconds: metering.phase_ws(flow, phase, seconds)


def _of_quadrants(*quadrants: int) -> Fine:
    return lambda metering, seconds: sum(metering.quadrant_vars(one, seconds) for one in quadrants)


def _apparent(flow: Flow) -> Fine:
    return lambda metering, seconds: metering.apparent_vas(flow, seconds)


def _net(metering: Metering, seconds: Seconds) -> Any:
    return metering.energy_ws(Flow.IMPORT, seconds) - metering.energy_ws(Flow.EXPORT, seconds)


def _gross(metering: Metering, seconds: Seconds) -> Any:
    return metering.energy_ws(Flow.IMPORT, seconds) + metering.energy_ws(Flow.EXPORT, seconds)


def _voltage(phase: int) -> MeasuredQuantity:
    return MeasuredQuantity(
        f"voltage of L{phase + 1}",
        VOLT,
        DataTag.LONG_UNSIGNED,
        lambda metering, seconds: metering.voltage_mv(phase, seconds),
        MILLI,
    )


def _current(phase: int) -> MeasuredQuantity:
    return MeasuredQuantity(
        f"current of L{phase + 1}",
        AMPERE,
        DataTag.LONG_UNSIGNED,
        lambda metering, seconds: metering.current_ma(phase, seconds),
        MILLI,
    )


def _of_both_flows() -> dict[str, MeasuredQuantity]:
    found: dict[str, MeasuredQuantity] = {}
    for flow in Flow:
        name = flow.value
        found[f"{name}_energy_wh"] = _energy(f"active energy, {name}", WATT_HOUR, _of_flow(flow))
        for tariff in TARIFFS:
            what = f"active energy, {name}, tariff {tariff}"
            found[f"{name}_energy_t{tariff}_wh"] = _energy(what, WATT_HOUR, _of_tariff(flow, tariff))
        for phase in PHASES:
            fine = _of_phase(flow, phase)
            found[f"{name}_energy_l{phase + 1}_wh"] = _energy(f"active energy, {name}, L{phase + 1}", WATT_HOUR, fine)
            found[f"{name}_power_l{phase + 1}_w"] = _power(
                f"active power, {name}, L{phase + 1}", WATT, fine, phase=phase
            )
        found[f"{name}_power_w"] = _power(f"active power, {name}", WATT, _of_flow(flow))
        found[f"{name}_apparent_energy_vah"] = _energy(f"apparent energy, {name}", VOLT_AMPERE_HOUR, _apparent(flow))
        found[f"{name}_apparent_power_va"] = _power(f"apparent power, {name}", VOLT_AMPERE, _apparent(flow))
    return found


def _reactive() -> dict[str, MeasuredQuantity]:
    found: dict[str, MeasuredQuantity] = {}
    directions = {"import_reactive": (1, 2), "export_reactive": (3, 4)}
    for name, quadrants in directions.items():
        what = name.replace("_", " ")
        found[f"{name}_energy_varh"] = _energy(
            f"{what} energy, Q{quadrants[0]} and Q{quadrants[1]}", VAR_HOUR, _of_quadrants(*quadrants)
        )
        found[f"{name}_power_var"] = _power(f"{what} power", VAR, _of_quadrants(*quadrants))
    for quadrant in QUADRANTS:
        fine = _of_quadrants(quadrant)
        found[f"reactive_energy_q{quadrant}_varh"] = _energy(f"reactive energy, quadrant {quadrant}", VAR_HOUR, fine)
    return found


QUANTITIES: dict[str, MeasuredQuantity] = {
    **_of_both_flows(),
    **_reactive(),
    "net_energy_wh": MeasuredQuantity(
        "active energy, import less export", WATT_HOUR, DataTag.DOUBLE_LONG, _net, WS_PER_WH
    ),
    "total_energy_wh": _energy("active energy, import and export together", WATT_HOUR, _gross),
    "net_power_w": _power("active power, import less export", WATT, _net, DataTag.DOUBLE_LONG),
    **{f"voltage_l{phase + 1}_v": _voltage(phase) for phase in PHASES},
    **{f"current_l{phase + 1}_a": _current(phase) for phase in PHASES},
    "power_factor": MeasuredQuantity(
        "power factor of the import",
        NO_UNIT,
        DataTag.LONG,
        lambda metering, seconds: metering.power_factor_permille(seconds),
        MILLI,
    ),
    "frequency_hz": MeasuredQuantity(
        "frequency",
        HERTZ,
        DataTag.LONG_UNSIGNED,
        lambda metering, seconds: metering.frequency_mhz(seconds),
        MILLI,
    ),
    "sub_meter_volume_m3": MeasuredQuantity(
        "volume of the gas meter behind the M-Bus client, at its last capture",
        CUBIC_METRE,
        DataTag.DOUBLE_LONG_UNSIGNED,
        lambda metering, seconds: metering.sub_meter_litres(seconds),
        MILLI,
        captured_at=lambda metering, seconds: metering.sub_meter_captures(seconds),
    ),
    "gas_volume_m3": MeasuredQuantity(
        "volume, of a meter that is a gas meter itself",
        CUBIC_METRE,
        DataTag.DOUBLE_LONG_UNSIGNED,
        lambda metering, seconds: metering.gas_litres(seconds),
        MILLI,
    ),
    "unix_time": MeasuredQuantity(
        "seconds since 1970 in UTC, as the meter's clock shows them",
        7,
        DataTag.DOUBLE_LONG_UNSIGNED,
        lambda metering, seconds: metering.shown(seconds),
    ),
}
