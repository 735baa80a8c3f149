"""Snowflake Cortex: OpenAI's chat at an account, by token or key pair; embeddings in bodies of its own."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

from typing_extensions import override

from faultmaven.infrastructure.llm.providers.oauth_tokens import TokenCache
from faultmaven.infrastructure.llm.providers.openai_provider import OpenAIProvider
from faultmaven.infrastructure.llm.providers.question_provider import EmbeddingProvider
from faultmaven.infrastructure.llm.providers.snowflake_tokens import KeyPair
from faultmaven.infrastructure.llm.types import EmbeddingResponse
from faultmaven.infrastructure.llm.wire.embeddings import EmbeddingDialect
from faultmaven.infrastructure.llm.wire.fields import as_object, count_in, list_in, malformed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def _to_wire(texts: Sequence[str], model: str, dimensions: int | None) -> dict[str, Any]:
    del dimensions
    return {"model": model, "text": list(texts)}


def _from_wire(data: object, model: str) -> EmbeddingResponse:
    """Read `{data: [{embedding: [[…]]}]}`: a list of one vector for each text."""
    body = as_object(data, "body")
    found = [entry.get("embedding") for entry in list_in(body, "data")]
    vectors = [v[0] if isinstance(v, list) and v and isinstance(v[0], list) else v for v in found]
    if not vectors or not all(isinstance(vector, list) for vector in vectors):
        raise malformed(body.get("data"), "data", "a list of vectors")
    tokens = count_in(body.get("usage"), "total_tokens")
    return EmbeddingResponse([v for v in vectors if isinstance(v, list)], model, tokens)


_DIALECT = EmbeddingDialect(_to_wire, _from_wire, takes_dimensions=False)


class SnowflakeProvider(EmbeddingProvider, OpenAIProvider):
    """Cortex' REST API, `…/api/v2/cortex/v1`; without a token, a user's private key signs."""

    wire_format: ClassVar[str | None] = "openai_chat"
    default_embedding_model: ClassVar[str] = "snowflake-arctic-embed-m-v1.5"

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        base_url = self.config.base_url or ""
        host = urlsplit(base_url).netloc
        if host.endswith(".snowflakecomputing.com"):
            # An account's underscores are hyphens in its host.
            base_url = base_url.replace(host, host.replace("_", "-"), 1)
            self.config = replace(self.config, base_url=base_url)
        self._tokens: TokenCache | None = None
        if pair := self._key_pair(host):
            self._tokens = TokenCache(pair.sign, self._clock)

    def _key_pair(self, host: str) -> KeyPair | None:
        given = self.config.variables
        user, source, passphrase = map(given.get, ("user", "private_key", "passphrase"))
        if not user or not source:
            return None
        return KeyPair(self.provider_name, given.get("account") or host, user, source, passphrase)

    @override
    def _has_key(self) -> bool:
        return bool(self.config.api_key or self._tokens)

    @override
    async def _authorize(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None
    ) -> tuple[str, Mapping[str, str]]:
        if self.config.api_key or self._tokens is None:
            return await super()._authorize(method, url, headers, body)
        headers = {
            **headers,
            "Authorization": f"Bearer {await self._tokens.get()}",
            "X-Snowflake-Authorization-Token-Type": "KEYPAIR_JWT",
        }
        return url, headers

    @override
    def _embedding_dialect(self, model: str) -> EmbeddingDialect:
        return _DIALECT

    @override
    def _embedding_url(self, model: str) -> str:
        return f"{(self.config.base_url or '').removesuffix('/v1')}/inference:embed"
