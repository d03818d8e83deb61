# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action behind tidegate.delivery.splunk_event."""

from __future__ import annotations

import time
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import DomainError
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import stamp
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.own_event import own_event
from ansible_collections.tidegate.delivery.plugins.module_utils.redaction import BLOT, looks_secret
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.action import DomainAction
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.call import Call, plain
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.needs import pipeline
from ansible_collections.tidegate.delivery.plugins.plugin_utils.shipping.callback_options import options_of
from ansible_collections.tidegate.delivery.plugins.plugin_utils.shipping.splunk_options import CALLBACK

with pipeline():
    from tidegate.shipping.spool import SpoolWriter, require_folder


class ActionModule(DomainAction):
    """Check the event, keep it, and leave the rest to the shipper."""

    def act(self, call: Call) -> dict[str, Any]:
        given = plain(call.args["fields"])
        # A literal secret is in no variable, so only its name tells.
        shown = {name: BLOT if looks_secret(str(name)) else value for name, value in given.items()}
        fields = own_event(call.redact(str(call.args["event"])), call.redact(shown))
        option = options_of(CALLBACK)
        folder = str(option("spool"))
        if call.check:
            return {"changed": True, "id": "", "spool": folder, "fields": fields}
        writer = SpoolWriter(require_folder(Path(folder)), float(option("spool_limit")))
        id_, now = uuid.uuid4().hex, time.time()
        try:
            if not writer.put("custom", id_, now, {**fields, "id": id_, "at": stamp(datetime.fromtimestamp(now, UTC))}):
                raise DomainError(
                    f"the event can't be kept: {writer.why}",
                    where=folder,
                    remedy="Make room there, or raise the callback's spool_limit; tidegate events flush ships the rest",
                )
        finally:
            writer.close()
        return {"changed": True, "id": id_, "spool": folder, "fields": fields}
