"""Collecting by schedule: when what is asked of which meters (`definition`, `periods`), the work itself (`collector`, `runs`), and what
goes to subscribers (`subscribers`, `event_writing`, `publisher`). Schedules are ordered in CIM (`orders`) or by the REST API."""

from ami_hes.schedules.book import ListedSchedule, ScheduleBook
from ami_hes.schedules.collector import Collector
from ami_hes.schedules.definition import Definition, NotASchedule, Schedule
from ami_hes.schedules.event_requests import EventHead, request_of, write_message, written
from ami_hes.schedules.event_writer import EventWriter
from ami_hes.schedules.orders import ScheduleOrders
from ami_hes.schedules.orders import question_of as question_of_schedules
from ami_hes.schedules.publisher import Publisher
from ami_hes.schedules.subscribers import Subscriber

__all__ = [
    "Collector",
    "Definition",
    "EventHead",
    "EventWriter",
    "ListedSchedule",
    "NotASchedule",
    "Publisher",
    "Schedule",
    "ScheduleBook",
    "ScheduleOrders",
    "Subscriber",
    "question_of_schedules",
    "request_of",
    "write_message",
    "written",
]
