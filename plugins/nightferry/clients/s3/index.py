"""What a listing needs beside S3's own, which tells of an object nothing but its name, size, ETag and time.

Beside the versions there is one object `.listing.json`: of each version the ETag of its model.json and what a listing
shows of it. What it lacks, or has with another ETag, is read from model.json, some at a time. So it may be old,
missing, broken or removed at any time, and whoever may not write it lists all the same, only slower.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any

from nightferry.clients.doors.model_repository import ModelListing
from nightferry.clients.versions.listing import listing_of_text, listing_text

NAME = ".listing.json"
log = logging.getLogger(__name__)


class Index:
    """The object of one repository. Nothing that goes wrong with it is an error."""

    def __init__(self, client: Any, bucket: str, prefix: str) -> None:
        self._client, self._target = client, {"Bucket": bucket, "Key": f"{prefix}/{NAME}"}

    def read(self, etags: Mapping[str, str]) -> dict[str, ModelListing]:
        """By version, the listings of those whose model.json still is the one that was listed."""
        from botocore.exceptions import BotoCoreError, ClientError
        from urllib3.exceptions import HTTPError

        try:
            kept = json.loads(self._client.get_object(**self._target)["Body"].read())
            entries = {version: kept[version] for version in etags.keys() & kept.keys()}
            fresh = {version: text for version, (etag, text) in entries.items() if etag == etags[version]}
            read = {version: listing_of_text(version, text) for version, text in fresh.items()}
        except (BotoCoreError, ClientError, HTTPError) as fault:
            log.debug("There is no index in reach: %s", type(fault).__name__)
            return {}
        except (ValueError, TypeError, AttributeError, RecursionError) as fault:
            log.debug("The index is none: %s", fault)
            return {}
        return {version: listing for version, listing in read.items() if listing}

    def keep(self, etags: Mapping[str, str], listings: Mapping[str, ModelListing]) -> None:
        """Write it anew. Of two who do so at once, either's is right."""
        from botocore.exceptions import BotoCoreError, ClientError

        content = {version: (etags[version], listing_text(listing)) for version, listing in listings.items()}
        try:
            self._client.put_object(**self._target, Body=json.dumps(content).encode(), ContentType="application/json")
        except (BotoCoreError, ClientError) as fault:
            log.debug("The index cannot be kept: %s", type(fault).__name__)
