"""What flows through a meter: pure functions of (seed, time) in whole watt-seconds, no I/O, no clock, no state that runs.

Strategy: everything is a cumulative function that is fixed at lattice points, so a register is known at any second without
what came before, and the difference of two registers is the sum of all intervals between them by construction. Each function
exists for one instant in plain integers, and for arrays of instants or of meters in numpy; both give the same integers.

Sources: standard load profile H0 of BDEW (the German energy industry's association) in the numbers of demandlib (oemof, MIT); shape
of heat demand as in demandlib; efficiency of heat pumps from When2Heat (CC-BY 4.0). All else is chosen by this project.
"""

from ami_meter_sim.load.houses import House, HouseKind, house, kind_of, weather_of
from ami_meter_sim.load.site import Site, seed_of_name, site_of

__all__ = ["House", "HouseKind", "Site", "house", "kind_of", "seed_of_name", "site_of", "weather_of"]
