"""Azure OpenAI: the newer route, with models in the body, and the older one, with deployments."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from faultmaven.infrastructure.llm import codec
from faultmaven.infrastructure.llm.providers.model_path import path_segment
from faultmaven.infrastructure.llm.providers.oauth_tokens import TokenCache, TokenService
from faultmaven.infrastructure.llm.providers.openai_provider import OpenAIProvider

if TYPE_CHECKING:
    from collections.abc import Mapping

    from faultmaven.infrastructure.llm.providers.call import Call
    from faultmaven.infrastructure.llm.providers.oauth_tokens import AccessToken
    from faultmaven.infrastructure.llm.types import LLMRequest

SCOPE = "https://cognitiveservices.azure.com/.default"
LOGIN = "https://login.microsoftonline.com"
# The route for models of all makers, which has no newer one at this path.
_FOUNDRY_VERSION = "2024-05-01-preview"
# From when on the older route takes them (API reference, read 2026-11-21).
_HAS_STREAM_OPTIONS = "2024-09-01"
_HAS_COMPLETION_TOKENS = "2024-12-01"
_REMEDY = "Check AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET."


class AzureOpenAIProvider(OpenAIProvider):
    """A resource of Azure OpenAI, by key or by Entra.

    The address may be the resource's own, or end in `/openai`, `/openai/v1`, a deployment, or `/models`.
    A dated `api_version` chooses the older route, where the model is the deployment's name in the
    address; without one the newer route is taken.
    """

    wire_format: ClassVar[str | None] = "openai_chat"
    default_auth: ClassVar[Mapping[str, Any]] = {"style": "header", "header": "api-key"}

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        variables = self.config.variables
        version = variables.get("api_version", "")
        base_url = (self.config.base_url or "").partition("/deployments/")[0]
        if base_url.endswith("/models"):
            version = version or _FOUNDRY_VERSION
        # "v1", "preview" and "latest" are versions of the newer route.
        self._api_version = version if version[:1].isdigit() else ""
        self.config = replace(self.config, base_url=self._completed(base_url) or None)
        self._entra: TokenCache | None = None
        if all(variables.get(name) for name in ("tenant", "client_id", "client_secret")):
            self._entra = TokenCache(self._fetch_token, self._clock)

    def _completed(self, base_url: str) -> str:
        if not base_url or base_url.endswith("/models"):
            return base_url
        if self._api_version:
            root = base_url.removesuffix("/v1").removesuffix("/openai")
            return f"{root}/openai"
        if base_url.endswith("/v1"):
            return base_url
        return f"{base_url.removesuffix('/openai')}/openai/v1"

    @override
    def can_forward(self, wire_format: str, body: Mapping[str, Any]) -> bool:
        return not self._api_version and super().can_forward(wire_format, body)

    @override
    def _has_key(self) -> bool:
        return bool(self.config.api_key or self.config.variables.get("ad_token") or self._entra)

    @override
    async def _authorize(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None
    ) -> tuple[str, Mapping[str, str]]:
        if not self.config.api_key:
            token = self.config.variables.get("ad_token")
            if token is None and self._entra is not None:
                token = await self._entra.get()
            headers = {**headers, "Authorization": f"Bearer {token}"}
        return url, headers

    async def _fetch_token(self) -> AccessToken:
        variables = self.config.variables
        default = f"{LOGIN}/{path_segment(variables['tenant'])}/oauth2/v2.0/token"
        url = str(self._auth.get("token_url", default))
        service = TokenService(self._transport, self.provider_name, url, _REMEDY)
        return await service.fetch({
            "grant_type": "client_credentials",
            "client_id": variables["client_id"],
            "client_secret": variables["client_secret"],
            "scope": str(self._auth.get("scope", SCOPE)),
        })  # fmt: skip

    @override
    def _endpoint_for(self, request: LLMRequest) -> str:
        return self._operation_url(request.model or "", "chat/completions")

    def _operation_url(self, model: str, operation: str) -> str:
        base_url = self.config.base_url or ""
        if not self._api_version:
            return f"{base_url}/{operation}"
        version = f"api-version={path_segment(self._api_version)}"
        if base_url.endswith("/models"):
            return f"{base_url}/{operation}?{version}"
        return f"{base_url}/deployments/{path_segment(model)}/{operation}?{version}"

    @override
    def _models_url(self) -> str | None:
        base_url = self.config.base_url or ""
        if base_url.endswith("/models"):
            return None
        query = f"?api-version={path_segment(self._api_version)}" if self._api_version else ""
        return f"{base_url}/models{query}"

    @override
    def _encoded(self, call: Call) -> bytes:
        encoded = super()._encoded(call)
        if not self._api_version or self._api_version >= _HAS_COMPLETION_TOKENS:
            return encoded
        body = codec.loads(encoded)
        if "max_completion_tokens" in body:
            body["max_tokens"] = body.pop("max_completion_tokens")
        if self._api_version < _HAS_STREAM_OPTIONS:
            body.pop("stream_options", None)
        return codec.dumps(body)

    @override
    def _embeddings_url(self, model: str) -> str:
        return self._operation_url(model, "embeddings")
