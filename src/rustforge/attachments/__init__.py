"""Files of an application's rows: checked, stored, attached within a transaction, and removed with their rows."""

from __future__ import annotations

try:
    from rustforge.attachments.input import AttachmentInput as AttachmentInput
    from rustforge.attachments.orphans import SweepOrphans as SweepOrphans
    from rustforge.attachments.orphans import Swept as Swept
    from rustforge.attachments.orphans import attachment_jobs as attachment_jobs
    from rustforge.attachments.orphans import sweep as sweep
    from rustforge.attachments.purge import PurgeObject as PurgeObject
    from rustforge.attachments.receive import accept as accept
    from rustforge.attachments.receive import receive as receive
    from rustforge.attachments.records import Attachment as Attachment
    from rustforge.attachments.rules import AttachmentRules as AttachmentRules
    from rustforge.attachments.rules import Resize as Resize
    from rustforge.attachments.service import Attachments as Attachments
    from rustforge.attachments.slots import ManySlot as ManySlot
    from rustforge.attachments.slots import SingleSlot as SingleSlot
    from rustforge.attachments.slots import many_slot as many_slot
    from rustforge.attachments.slots import single_slot as single_slot
except ModuleNotFoundError as _error:
    _package = (_error.name or "rustforge").partition(".")[0]
    if _package == "rustforge":
        raise
    _msg = f"{_package} is not installed; it comes with: pip install 'rustforge[attachments]'"
    raise ModuleNotFoundError(_msg, name=_error.name) from _error

__all__ = [
    "Attachment",
    "AttachmentInput",
    "AttachmentRules",
    "Attachments",
    "ManySlot",
    "PurgeObject",
    "Resize",
    "SingleSlot",
    "SweepOrphans",
    "Swept",
    "accept",
    "attachment_jobs",
    "many_slot",
    "receive",
    "single_slot",
    "sweep",
]
