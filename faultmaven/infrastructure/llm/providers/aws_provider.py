"""What all models on Amazon Bedrock have in common: hosts, signatures or keys, model lists."""

from __future__ import annotations

import re
from abc import abstractmethod
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from faultmaven.infrastructure.llm.errors import ConfigurationError, LLMError
from faultmaven.infrastructure.llm.providers.aws_credentials import AWSCredentialSource
from faultmaven.infrastructure.llm.providers.http_service import parse_json
from faultmaven.infrastructure.llm.providers.model_path import path_segment
from faultmaven.infrastructure.llm.providers.question_provider import QuestionProvider
from faultmaven.infrastructure.llm.providers.remedy import explain
from faultmaven.infrastructure.llm.sigv4 import SigningScope, sign_request
from faultmaven.infrastructure.llm.wire.bedrock_converse import token_count_from_wire
from faultmaven.infrastructure.llm.wire.models import model_ids_from_wire

if TYPE_CHECKING:
    from collections.abc import Mapping

    from faultmaven.infrastructure.llm.types import LLMRequest

_REGION_IN_HOST = re.compile(r"//bedrock-runtime(?:-fips)?\.([a-z0-9-]+)\.")


class AWSProvider(QuestionProvider):
    """A provider on Bedrock's runtime: an API key as a bearer, or else a signature of the account's."""

    default_auth: ClassVar[Mapping[str, Any]] = {"style": "aws-sigv4", "service": "bedrock"}

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._credentials = AWSCredentialSource(self.provider_name, self.config.variables)

    @override
    async def _authorize(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None
    ) -> tuple[str, Mapping[str, str]]:
        if self.config.api_key:
            return url, {**headers, "Authorization": f"Bearer {self.config.api_key}"}
        scope = SigningScope(self._region(), str(self._auth.get("service", "bedrock")))
        credentials = await self._credentials.get()
        return url, sign_request(
            method, url, headers, body,
            credentials=credentials, scope=scope, now=datetime.now(UTC),
        )  # fmt: skip

    def _region(self) -> str:
        in_host = _REGION_IN_HOST.search(self.config.base_url or "")
        region = self.config.variables.get("region") or (in_host[1] if in_host else None)
        if region is None:
            msg = f"{self.provider_name} has no region to sign for: set AWS_REGION."
            raise ConfigurationError(msg, provider=self.provider_name, code="no_region")
        return region

    def _model_url(self, model: str, operation: str) -> str:
        """Give the address of an operation of a model, an inference profile or an ARN."""
        return f"{self.config.base_url}/model/{path_segment(model)}/{operation}"

    @override
    def _models_url(self) -> str | None:
        return f"{self._control_url()}/foundation-models"

    def _control_url(self) -> str:
        """Give the address of the API that manages models, which has a host of its own."""
        return (self.config.base_url or "").replace("//bedrock-runtime", "//bedrock", 1)

    @override
    async def _fetch_model_ids(self, timeout_s: float) -> list[str]:
        ids = await super()._fetch_model_ids(timeout_s)
        # Newer models are called by their profiles only, which a key may not be allowed to list.
        url = f"{self._control_url()}/inference-profiles?maxResults=1000"
        try:
            reply = await self._send("GET", url, None, timeout_s, None)
            where = "inferenceProfileSummaries[].inferenceProfileId"
            return ids + model_ids_from_wire(parse_json(reply.body), where)
        except LLMError as error:
            explain(error, self.config, None)
            return ids

    @override
    async def count_tokens(self, request: LLMRequest) -> int:
        """Count a request's prompt as the model will: system prompt, tools and turns.

        Raises:
            LLMError: the call failed, e.g. because the model's tokens cannot be counted.
        """
        self._require_configuration()
        asked = self._as_asked(request)
        model = asked.model or ""
        counted = {"input": self._counted_input(self._transform_request(asked))}
        return await self._ask(
            self._model_url(model, "count-tokens"), counted, token_count_from_wire, model
        )

    @abstractmethod
    def _counted_input(self, body: dict[str, Any]) -> dict[str, Any]:
        """Give what is to be counted of a body."""
