"""The REST API of the head-end below /api/v1, which its own command line asks: meters, contacts with them, their scalers and readings, requests, jobs, campaigns, commissioning, images, quarantine, schedules, traces, events of meters, outages, dead letters, subscribers, the guard against mass switching, approvals, the audit log, metrics, and the stream of what changes."""

from ami_hes.api.audit import audit_routes
from ami_hes.api.audited import Audited
from ami_hes.api.campaigns import campaign_routes
from ami_hes.api.commissioning import commissioning_routes
from ami_hes.api.contacts import Contacts, contact_routes
from ami_hes.api.device_events import device_event_routes
from ami_hes.api.guard import guard_routes
from ami_hes.api.images import image_routes
from ami_hes.api.live import Changes, Touched, live_routes
from ami_hes.api.meters import meter_routes
from ami_hes.api.metrics import Measured, Metrics, metrics_routes
from ami_hes.api.on_demand import reading_routes
from ami_hes.api.openapi import openapi_routes
from ami_hes.api.outages import outage_routes
from ami_hes.api.outgoing import outgoing_routes
from ami_hes.api.quarantine import quarantine_routes
from ami_hes.api.readings import kept_readings_routes
from ami_hes.api.requests import Cancel, request_routes
from ami_hes.api.scalers import scaler_routes
from ami_hes.api.schedules import schedule_routes
from ami_hes.api.sign_ins import SignIns
from ami_hes.api.traces import trace_routes

__all__ = [
    "Audited",
    "Cancel",
    "Changes",
    "Contacts",
    "Measured",
    "Metrics",
    "SignIns",
    "Touched",
    "audit_routes",
    "campaign_routes",
    "commissioning_routes",
    "contact_routes",
    "device_event_routes",
    "guard_routes",
    "image_routes",
    "kept_readings_routes",
    "live_routes",
    "meter_routes",
    "metrics_routes",
    "openapi_routes",
    "outage_routes",
    "outgoing_routes",
    "quarantine_routes",
    "reading_routes",
    "request_routes",
    "scaler_routes",
    "schedule_routes",
    "trace_routes",
]
