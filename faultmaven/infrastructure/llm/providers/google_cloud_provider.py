"""What all models on Google's Vertex AI have in common: the host of a location, and tokens."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from faultmaven.infrastructure.llm.providers.google_tokens import GoogleTokens
from faultmaven.infrastructure.llm.providers.http_provider import HTTPProvider

if TYPE_CHECKING:
    from collections.abc import Mapping

SCOPE = "https://www.googleapis.com/auth/cloud-platform"


class GoogleCloudProvider(HTTPProvider):
    """A provider on Vertex AI: a token of Google Cloud, or a key where the API takes one."""

    default_auth: ClassVar[Mapping[str, Any]] = {"style": "google-oauth", "scope": SCOPE}

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        # The location "global" has a host without a location.
        base_url = (self.config.base_url or "").replace("//global-aiplatform.", "//aiplatform.")
        self.config = replace(self.config, base_url=base_url or None)
        scope = str(self._auth.get("scope", SCOPE))
        source = self.config.variables.get("credentials")
        self._tokens = GoogleTokens(self.provider_name, source, scope, lambda: self._transport)

    @override
    async def _authorize(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None
    ) -> tuple[str, Mapping[str, str]]:
        if self.config.api_key:
            return url, {**headers, "x-goog-api-key": self.config.api_key}
        return url, {**headers, **await self._tokens.headers()}
