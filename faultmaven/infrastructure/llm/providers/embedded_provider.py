"""A real model without a key, a GPU or the internet: llama.cpp, started when it is first needed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from faultmaven.infrastructure.llm.errors import LLMError, ProviderNotConfiguredError
from faultmaven.infrastructure.llm.providers.engine import release_engine, share_engine
from faultmaven.infrastructure.llm.providers.engine_files import find_engine
from faultmaven.infrastructure.llm.providers.local_provider import LocalProvider
from faultmaven.infrastructure.llm.secret import remember_secret

if TYPE_CHECKING:
    from faultmaven.infrastructure.llm.providers.engine import EngineAddress, LlamaServer


class EmbeddedProvider(LocalProvider):
    """A local provider that owns its server.

    The engine starts with the first call, serves every embedded provider of the process, is started
    anew if it died, and ends when the last of them is closed, or with the process.
    """

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._engine: LlamaServer | None = None
        self._address: EngineAddress | None = None

    @override
    def is_available(self) -> bool:
        """Tell whether a server and a model are installed; starts nothing."""
        return not self.unavailable_reason()

    def unavailable_reason(self) -> str:
        """Say what is missing and how to get it; "" where nothing is."""
        try:
            find_engine(self.config.variables.get)
        except ProviderNotConfiguredError as error:
            return error.message
        return ""

    @override
    async def close(self) -> None:
        """Let go of the engine, which ends with its last user; a later call starts it again."""
        engine, self._engine, self._address = self._engine, None, None
        await super().close()
        if engine is not None:
            await release_engine(engine)

    @override
    def _is_ready(self) -> bool:
        engine = self._engine
        return engine is not None and self._address is not None and engine.address is self._address

    @override
    async def _make_ready(self) -> None:
        try:
            if self._engine is None:
                files = find_engine(self.config.variables.get)
                alias = self.config.models[0] if self.config.models else None
                self._engine = share_engine(files, alias)
            address = await self._engine.started()
        except LLMError as error:
            error.provider = self.provider_name
            raise
        remember_secret(address.api_key)
        self.config = replace(
            self.config,
            base_url=f"{address.base_url}/v1",
            api_key=address.api_key,
            models=self.config.models or [self._engine.alias],
        )
        self._address = address
        self._speaker = self
