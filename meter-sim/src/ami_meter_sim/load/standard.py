"""Shapes of a day: H0 of BDEW with its dynamic factor, and a shop; milliwatts at quarter hours for 1,000 kWh a year.

H0: hourly means of the numbers that demandlib (oemof, MIT) publishes, attributed to BDEW; the quarter hours between are ours and keep
every hour's mean. The shop is ours: open from 8 to 19, on Saturdays to 16, with cooling and lights at night.
"""

from datetime import date

from ami_meter_sim.load.civil import SATURDAY, SUMMER, SUNDAY, TRANSITION, WINTER, WORKDAY

QUARTERS = 96

_H0 = {
    (WINTER, WORKDAY): "58 43 40 39 39 47 90 129 133 123 116 118 131 130 115 105 105 129 166 187 168 141 117 86",
    (WINTER, SATURDAY): "67 53 42 40 38 40 53 82 120 142 148 155 167 166 153 144 145 180 209 210 172 134 122 104",
    (WINTER, SUNDAY): "78 56 45 41 39 39 41 50 89 138 174 203 207 173 136 117 107 126 156 176 160 136 115 85",
    (SUMMER, WORKDAY): "74 55 50 47 49 59 98 130 142 144 139 142 158 153 132 119 115 122 142 165 167 158 145 112",
    (SUMMER, SATURDAY): "83 64 52 50 50 52 64 93 128 156 165 171 182 176 157 148 145 149 166 180 173 154 149 125",
    (SUMMER, SUNDAY): "90 67 54 51 50 49 51 69 112 160 187 206 209 175 144 124 108 110 127 152 159 151 140 108",
    (TRANSITION, WORKDAY): "67 49 44 43 44 53 93 130 137 136 132 133 150 146 127 113 106 116 145 172 168 156 136 100",
    (TRANSITION, SATURDAY): "73 56 46 44 43 45 59 93 130 150 163 172 181 177 161 149 147 159 183 198 180 147 139 117",
    (TRANSITION, SUNDAY): "84 62 49 44 43 43 46 66 111 160 185 205 208 169 136 121 107 112 138 161 155 144 128 94",
}
_SHOP = {
    WORKDAY: "55 53 52 52 52 54 62 95 170 205 212 215 214 212 213 214 215 216 208 160 95 70 60 57",
    SATURDAY: "55 53 52 52 52 54 62 95 170 205 212 215 214 212 205 180 110 75 62 60 58 57 56 55",
    SUNDAY: "54 53 52 52 52 52 53 54 55 55 55 55 55 55 55 55 55 55 55 56 56 55 54 54",
}


def by_quarters(hourly: str) -> tuple[int, ...]:
    """96 powers in milliwatts of 24 hourly means in watts: a slope inside each hour that leaves its mean as it is."""
    watts = [int(one) for one in hourly.split()]
    powers = []
    for hour, mean in enumerate(watts):
        slope = watts[(hour + 1) % 24] - watts[hour - 1]
        powers += [mean * 1000 + slope * step * 1000 // 16 for step in (-3, -1, 1, 3)]
    return tuple(powers)


H0 = {key: by_quarters(hourly) for key, hourly in _H0.items()}
SHOP = {key: by_quarters(hourly) for key, hourly in _SHOP.items()}


def dynamic_permille(day: date) -> int:
    """The factor of H0 for a day of the year, in 1/1000 (BDEW); by Horner's rule, which every machine rounds alike."""
    t = float(day.timetuple().tm_yday)
    factor = (((-3.92e-10 * t + 3.2e-7) * t - 7.02e-5) * t + 2.1e-3) * t + 1.24
    return round(factor * 1000)
