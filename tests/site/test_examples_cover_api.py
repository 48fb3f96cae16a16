"""The examples show the whole public interface: whatever a user may call is called in one of them."""

from __future__ import annotations

import ast
import inspect
import re

import pytest

from rustforge import attachments as attachments_module
from rustforge import cache as cache_module
from rustforge import http as http_module
from rustforge import jobs as jobs_module
from rustforge import notify as notify_module
from rustforge import redis as redis_module
from rustforge import storage as storage_module
from rustforge import testing as testing_module
from rustforge.attachments import Attachments
from rustforge.boot import BootContext
from rustforge.cache import Cache, CachedFunction, CacheStatistics, Lock, NearCache, RateLimit
from rustforge.db import Database
from rustforge.jobs import (
    Entry,
    FailedJobs,
    Job,
    JobBuffer,
    JobContext,
    JobRegistry,
    JobView,
    OutboxFlusher,
    Queue,
    QueueStats,
    Scheduler,
    Worker,
    WorkerStatistics,
)
from rustforge.jobs.metrics import JobMetrics
from rustforge.notify import (
    Deliveries,
    DeliveryJob,
    PresenceMember,
    RealtimeMessage,
    RealtimePublisher,
    ReplayGap,
    Subscription,
    Target,
    WebhookChannel,
    WebhookEndpoint,
    WebhookEndpoints,
)
from rustforge.notify import alert as alert_module
from rustforge.notify import mail as mail_module
from rustforge.notify import webhook as webhook_module
from rustforge.notify.alert import AlertChannel, AlertResult
from rustforge.notify.mail import (
    FakeMailer,
    Mail,
    MailAddress,
    MailAttachment,
    MailChannel,
    MailTemplates,
    MailUrl,
    QueuedMail,
    SendMail,
    SentMail,
)
from rustforge.redis import RedisClient, RedisUrl
from rustforge.storage import SignedUpload, Storage, StoredObject, UploadGrant
from rustforge.testing import FakeQueue, FakeStorage, HttpResponse, OutboundHttp, SentRequest, TimeTraveler
from tests.site.conftest import ROOT

SNIPPETS = ROOT / "examples" / "snippets"

UNSHOWN = {
    "Cache.aclose",  # async with calls it
    "Cache.owns_client",
    "CacheStatistics.compute_errors",  # the reference lists the counters; the examples show the idea
    "CacheStatistics.compute_seconds",
    "CacheStatistics.read_seconds",
    "CacheStatistics.reads",
    "CacheStatistics.stale",
    "CacheStatistics.unavailable",
    "CacheStatistics.undecodable",
    "RealtimeMessage.previous",  # for subscriptions
    "RealtimeMessage.place",
    "RealtimePublisher.aclose",  # async with calls it
    "RealtimePublisher.client",
    "RealtimePublisher.owns_client",
    "ReplayGap.first_available_id",  # on the page in words
    "ReplayGap.last_available_id",
    "RedisClient.aclose",
    "RedisClient.open",
    "RedisClient.remove_listener",
    "RedisClient.statistics",
    "RedisClient.tracking",
    "RedisUrl.ssl_context",
    "Database.dispose",  # async with calls it
    "Database.is_postgresql",
    "Database.is_sqlite",
    "Database.reading",  # like transaction, which the examples show
    "AlertChannel.aclose",  # async with calls it
    "DeliveryJob.delivery_id",  # the field that every channel has
    "DeliveryJob.model_config",  # pydantic's
    "Entry.base_of",  # for the scheduler
    "Entry.bound",
    "Entry.home",
    "Entry.wanted",
    "FakeMailer.aclose",  # the channel calls these
    "FakeMailer.deliver",
    "FakeQueue.assert_not_pushed",  # like assert_pushed
    "FakeQueue.assert_nothing_pushed",
    "FakeQueue.assert_pushed_on",
    "FakeQueue.enqueue",  # the queue's own methods
    "FakeQueue.push",
    "FakeQueue.pushed",
    "Job.model_config",  # pydantic's
    "JobBuffer.push",  # dispatch calls it
    "JobBuffer.push_many_sync",
    "JobBuffer.push_sync",
    "JobContext.enqueued_at",
    "JobContext.traceparent",
    "JobMetrics.durations",  # for collectors of other kinds
    "JobMetrics.on_run",
    "JobRegistry.find",  # for workers
    "JobRegistry.knows",
    "JobRegistry.of",
    "JobView.enqueued_at",
    "Mail.model_config",  # pydantic's
    "SendMail.model_config",
    "MailAddress.address",  # for the channel
    "MailAddress.domain",
    "MailAddress.header",
    "MailChannel.aclose",  # async with calls it
    "MailUrl.connections",  # written in URLs
    "MailUrl.host",
    "MailUrl.kind",
    "MailUrl.password",
    "MailUrl.port",
    "MailUrl.ssl_ca_certs",
    "MailUrl.ssl_context",
    "MailUrl.timeout",
    "MailUrl.username",
    "OutboxFlusher.aclose",  # boot() calls these
    "OutboxFlusher.listen",
    "OutboxFlusher.wake",
    "Queue.aclose",
    "Queue.base_of",  # for workers, the outbox and the scheduler
    "Queue.bury",
    "Queue.discard_quarantined",  # in a comment, beside its opposite
    "Queue.enqueue",
    "Queue.forget_sent",
    "Queue.push",  # dispatch calls it
    "Queue.require_fits",  # for the scheduler
    "Queue.still_dead",  # for workers
    "SignedUpload.expires_at",
    "SignedUpload.fields",  # of buckets, on the page in words
    "Storage.aclose",  # async with calls these
    "Storage.open",
    "Storage.signer",  # for files_app
    "StoredObject.modified",
    "Subscription.batch",  # for the router
    "Subscription.end",
    "Subscription.ended",
    "Subscription.wake",
    "Database.over",  # the plugin calls it
    "TimeTraveler.follow",
    "TimeTraveler.travel_to",
    "TimeTraveler.work",
    "WebhookChannel.aclose",  # async with calls it
    "WebhookChannel.clock",
    "WebhookEndpoint.created_at",
    "WebhookEndpoint.failing_since",
    "WebhookEndpoint.updated_at",
    "Worker.on_outcome",
    "WorkerStatistics.released",
}
"""What no example needs, each for a reason."""


def read_names() -> set[str]:
    """List every attribute, function and keyword that the examples use."""
    names: set[str] = set()
    for file in SNIPPETS.glob("*/*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Attribute):
                names.add(node.attr)
            elif isinstance(node, ast.Name):
                names.add(node.id)
            elif isinstance(node, ast.keyword) and node.arg:
                names.add(node.arg)
            elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                names.add(node.name)  # what users override is shown by doing so
    return names


USED = read_names()
OWNERS = [
    *(AlertChannel, AlertResult, FakeMailer, Mail, MailAddress, MailAttachment, MailChannel, MailTemplates, MailUrl),
    *(Deliveries, DeliveryJob, QueuedMail, SendMail, SentMail, Target),
    *(
        Attachments,
        BootContext,
        Cache,
        CacheStatistics,
        CachedFunction,
        Lock,
        NearCache,
        RateLimit,
        RedisClient,
        RedisUrl,
    ),
    *(PresenceMember, RealtimeMessage, RealtimePublisher, ReplayGap, Subscription),
    *(Database, Entry, FailedJobs, FakeQueue, Job, JobBuffer, JobContext, JobMetrics, JobRegistry, JobView),
    *(OutboxFlusher, Queue, QueueStats, Scheduler, SignedUpload, Storage, StoredObject, TimeTraveler),
    *(FakeStorage, HttpResponse, OutboundHttp, SentRequest),
    *(UploadGrant, WebhookChannel, WebhookEndpoint, WebhookEndpoints, Worker, WorkerStatistics),
]


def public_members(owner: type) -> list[str]:
    """List the public methods, properties and fields that a class brings itself."""
    members = {*vars(owner), *inspect.get_annotations(owner), *getattr(owner, "__slots__", ())}
    return sorted(name for name in members if not name.startswith("_"))


@pytest.mark.parametrize(
    "owner",
    OWNERS,
    ids=lambda owner: owner.__name__,
)
def test_every_member_is_shown(owner: type) -> None:
    """Each public member of the class is used in an example, or stands in the list of exceptions."""
    members = [name for name in public_members(owner) if f"{owner.__name__}.{name}" not in UNSHOWN]
    assert [name for name in members if name not in USED] == []


@pytest.mark.parametrize("method", ["remember", "remember_forever", "connect", "increment", "lock", "rate_limit"])
def test_every_option_is_shown(method: str) -> None:
    """Each option of the methods that have many is used by name in an example."""
    options = [
        parameter.name
        for parameter in inspect.signature(getattr(Cache, method)).parameters.values()
        if parameter.kind is parameter.KEYWORD_ONLY
    ]
    assert [name for name in options if name not in USED] == []


@pytest.mark.parametrize(
    "module",
    [
        *(alert_module, attachments_module, cache_module, http_module, jobs_module, mail_module, redis_module),
        *(notify_module, storage_module, testing_module, webhook_module),
    ],
    ids=["alert", "attachments", "cache", "http", "jobs", "mail", "redis", "notify", "storage", "testing", "webhook"],
)
def test_every_export_is_shown(module: object) -> None:
    """Each name that a module exports is used in an example, or is made by one that is."""
    made = {"CacheStatistics", "CachedFunction", "Connecting", "Lock", "RateLimit", "RedisClient"}
    made |= {
        "Entry",
        "EntryStatus",
        "FailedJob",
        "FailedPage",
        "HeldGroup",
        "JobProgress",
        "JobView",
        "QuarantinedJob",
        "QueueStats",
    }
    made |= {"Every", "Middleware", "WorkerContext", "WorkerStatistics"}
    made |= {"ProblemDetails", "UploadPart"}
    made |= {"Attachment", "ManySlot", "PurgeObject", "SingleSlot", "Swept"}
    made |= {"QUARANTINE", "SignedUpload", "StorageConnecting", "StoredObject", "UploadGrant"}
    made |= {"WebhookEndpoint"}
    made |= {"ManualClock", "PushedJob", "RecordedContext"}
    made |= {"DeliveryPage", "DeliveryStatus", "FanOut", "new_event_id"}
    made |= {"RealtimeItem", "Subscription"}
    made |= {
        "AddressLike",
        "AlertLevel",
        "AlertResult",
        "DeliverAlert",
        "DeliverMail",
        "FakeMailer",
        "QueuedMail",
        "RenderedMail",
        "SentMail",
    }
    made |= {"CatchUp", "JobSource", "Outcome", "Priority"}  # what arguments may be
    exported: list[str] = vars(module)["__all__"]
    assert [name for name in exported if name not in USED | made] == []


def test_exceptions_are_not_out_of_date() -> None:
    """The list of exceptions names only what exists."""
    owners = {owner.__name__: owner for owner in OWNERS}
    for name in UNSHOWN:
        owner, _, member = name.partition(".")
        known = public_members(owners[owner]) + re.findall(r"self\.(\w+)", inspect.getsource(owners[owner]))
        assert member in known, name
