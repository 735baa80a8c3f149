"""Databricks: OpenAI's chat at a workspace, by its own tokens or those of a service principal."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from faultmaven.infrastructure.llm.providers.oauth_tokens import TokenCache, TokenService
from faultmaven.infrastructure.llm.providers.openai_provider import OpenAIProvider

if TYPE_CHECKING:
    from collections.abc import Mapping

    from faultmaven.infrastructure.llm.providers.oauth_tokens import AccessToken

_REMEDY = "Check DATABRICKS_CLIENT_ID and DATABRICKS_CLIENT_SECRET."


class DatabricksProvider(OpenAIProvider):
    """The serving endpoints of a workspace; a model is the name of one."""

    wire_format: ClassVar[str | None] = "openai_chat"

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._tokens = TokenCache(self._fetch_token, self._clock)

    @override
    def _has_key(self) -> bool:
        return bool(self.config.api_key) or self._has_principal()

    def _has_principal(self) -> bool:
        variables = self.config.variables
        return bool(variables.get("client_id") and variables.get("client_secret"))

    def _workspace_url(self) -> str:
        return (self.config.base_url or "").partition("/serving-endpoints")[0]

    @override
    async def _authorize(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None
    ) -> tuple[str, Mapping[str, str]]:
        if not self.config.api_key:
            headers = {**headers, "Authorization": f"Bearer {await self._tokens.get()}"}
        return url, headers

    async def _fetch_token(self) -> AccessToken:
        variables = self.config.variables
        pair = f"{variables['client_id']}:{variables['client_secret']}"
        headers = {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
        url = f"{self._workspace_url()}/oidc/v1/token"
        service = TokenService(self._transport, self.provider_name, url, _REMEDY)
        return await service.fetch(
            {"grant_type": "client_credentials", "scope": "all-apis"}, headers
        )

    @override
    def _models_url(self) -> str | None:
        return f"{self._workspace_url()}/api/2.0/serving-endpoints"

    @override
    def _model_id_path(self) -> str | None:
        return "endpoints[].name"
