"""The COSEM objects of a simulated meter (IEC 62056-6-2), one module per family of interface classes.

Which objects a meter has, with which values and rights, is data (`models/*.toml`); how a class behaves is code here.
Objects stand on a `Device`, the inside of one meter, and never see a connection, a key or the machine's clock.
"""
