"""IBM watsonx.ai: chat and embeddings, with tokens of IBM Cloud's identity service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from faultmaven.infrastructure.llm.errors import ProviderNotConfiguredError
from faultmaven.infrastructure.llm.providers.oauth_tokens import TokenCache, TokenService
from faultmaven.infrastructure.llm.providers.openai_provider import OpenAIProvider
from faultmaven.infrastructure.llm.providers.question_provider import EmbeddingProvider
from faultmaven.infrastructure.llm.wire.openai_chat import response_from_wire
from faultmaven.infrastructure.llm.wire.watsonx_chat import (
    body_to_wire,
    embedding_dialect,
    with_openai_names,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from faultmaven.infrastructure.llm.providers.oauth_tokens import AccessToken
    from faultmaven.infrastructure.llm.types import LLMRequest, LLMResponse
    from faultmaven.infrastructure.llm.wire.embeddings import EmbeddingDialect

# The day whose behaviour is asked for (API reference, read 2026-11-21).
API_VERSION = "2024-10-08"
TOKEN_URL = "https://iam.cloud.ibm.com/identity/token"  # noqa: S105  # an address
_GRANT = "urn:ibm:params:oauth:grant-type:apikey"
_REMEDY = "Check the key in WATSONX_API_KEY."


class WatsonxProvider(EmbeddingProvider, OpenAIProvider):
    """watsonx.ai in a region of IBM Cloud; a project or a space pays."""

    wire_format: ClassVar[str | None] = None
    default_auth: ClassVar[Mapping[str, Any]] = {"style": "ibm-iam", "token_url": TOKEN_URL}
    default_embedding_model: ClassVar[str] = "ibm/granite-embedding-278m-multilingual"

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._tokens = TokenCache(self._fetch_token, self._clock)

    @override
    def _has_key(self) -> bool:
        return bool(self.config.variables.get("token")) or super()._has_key()

    @override
    async def _authorize(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None
    ) -> tuple[str, Mapping[str, str]]:
        token = self.config.variables.get("token") or await self._tokens.get()
        return url, {**headers, "Authorization": f"Bearer {token}"}

    async def _fetch_token(self) -> AccessToken:
        url = str(self._auth.get("token_url", TOKEN_URL))
        service = TokenService(self._transport, self.provider_name, url, _REMEDY)
        return await service.fetch({"grant_type": _GRANT, "apikey": self.config.api_key or ""})

    def _place(self) -> dict[str, str]:
        variables = self.config.variables
        for name in ("project", "space"):
            if value := variables.get(name):
                return {f"{name}_id": value}
        msg = (
            f"{self.provider_name} has neither a project nor a space: set WATSONX_PROJECT_ID or "
            "WATSONX_SPACE_ID in .env."
        )
        raise ProviderNotConfiguredError(msg, provider=self.provider_name, code="no_project")

    def _versioned(self, path: str) -> str:
        joint = "&" if "?" in path else "?"
        return f"{self.config.base_url}/ml/v1{path}{joint}version={API_VERSION}"

    @override
    def _endpoint_for(self, request: LLMRequest) -> str:
        return self._versioned("/text/chat_stream" if request.stream else "/text/chat")

    @override
    def _models_url(self) -> str | None:
        return self._versioned("/foundation_model_specs?limit=200")

    @override
    def _model_id_path(self) -> str | None:
        return "resources[].model_id"

    @override
    def _transform_request(self, request: LLMRequest) -> dict[str, Any]:
        return body_to_wire(super()._transform_request(request), self._place())

    @override
    def _transform_response(self, data: Any) -> LLMResponse:
        return response_from_wire(with_openai_names(data))

    @override
    def _embedding_dialect(self, model: str) -> EmbeddingDialect:
        return embedding_dialect(self._place())

    @override
    def _embedding_url(self, model: str) -> str:
        return self._versioned("/text/embeddings")
