"""A provider whose dialect is data: the row's `dialect`, and no code of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from typing_extensions import override

from faultmaven.infrastructure.llm import codec
from faultmaven.infrastructure.llm.errors import ConfigurationError
from faultmaven.infrastructure.llm.providers.http_provider import HTTPProvider
from faultmaven.infrastructure.llm.wire.declared import DeclaredDialect, read_error_fields
from faultmaven.infrastructure.llm.wire.declared_request import RequestTemplate
from faultmaven.infrastructure.llm.wire.declared_stream import DeclaredStreamReader, StreamMap
from faultmaven.infrastructure.llm.wire.errors import parse_error

if TYPE_CHECKING:
    from collections.abc import Mapping

    from faultmaven.infrastructure.llm.errors import LLMError
    from faultmaven.infrastructure.llm.types import LLMRequest, LLMResponse


class DeclaredProvider(HTTPProvider):
    """Speaks what the row's `dialect` describes; see docs/declared-dialects.md.

    Raises:
        ConfigurationError: the row has no `dialect`, or one that cannot work.
    """

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        data: Mapping[str, Any] | None = self.config.row.get("dialect")
        if data is None:
            msg = f"{self.provider_name}: DeclaredProvider needs a `dialect` in the row."
            raise ConfigurationError(msg, provider=self.provider_name, code="bad_dialect")
        self._data = data
        try:
            self._dialect = DeclaredDialect(data)
            self._template = RequestTemplate(data["request"])
        except ConfigurationError as error:
            msg = f"{self.provider_name}: {error.message}"
            raise error.with_message(msg) from None
        stream = data.get("stream")
        self._stream = StreamMap(stream) if stream else None

    @override
    def _endpoint_for(self, request: LLMRequest) -> str:
        name = "stream_path" if request.stream and "stream_path" in self._data else "path"
        path = self._data[name].replace("{model}", quote(request.model or "", safe=""))
        return self._url("stream" if name == "stream_path" else "chat", path)

    @override
    def _get_endpoint(self) -> str:
        return self._url("chat", self._data["path"])

    @override
    def _structured_level(self, request: LLMRequest) -> str:
        row = self._rules_for(self.get_effective_model(request.model)).row
        return str(row.get("structured_output") or self._template.structure_level)

    @override
    def _unsupported_parameters(self, request: LLMRequest) -> tuple[str, ...]:
        return self._template.unsupported

    @override
    def _transform_request(self, request: LLMRequest) -> dict[str, Any]:
        return self._template.render(request, request.model or "")

    @override
    def _transform_stream_request(self, request: LLMRequest) -> dict[str, Any]:
        return self._transform_request(request)

    @override
    def _transform_response(self, data: Any) -> LLMResponse:
        return self._dialect.read_response(data)

    @override
    def _make_stream_reader(self) -> DeclaredStreamReader | None:
        if self._stream is None:
            return None
        return DeclaredStreamReader(self._dialect, self._stream)

    @override
    def _read_error(self, status: int, headers: Mapping[str, str], body: bytes) -> LLMError:
        if errors := self._data.get("errors"):
            try:
                found = read_error_fields(errors, codec.loads(body))
            except ValueError:
                found = {}
            if found:
                return parse_error(status, headers, codec.dumps({"error": found}))
        return super()._read_error(status, headers, body)
