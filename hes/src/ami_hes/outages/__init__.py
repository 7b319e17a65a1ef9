"""Outages: which meters are without power by what they have said, where in the network that is, and whether their power is really back."""

from ami_hes.outages.book import NotAsked, OutageBook, Ping, Report
from ami_hes.outages.places import Place
from ami_hes.outages.power import Power
from ami_hes.outages.verifying import Verifying

__all__ = ["NotAsked", "OutageBook", "Ping", "Place", "Power", "Report", "Verifying"]
