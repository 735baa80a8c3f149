"""What every provider behind an HTTP API has: keys, connections, retries, a list of models.

What is asked of the API, and how its answers are read, is for the classes above this one.
"""

from __future__ import annotations

import logging
import time
from abc import abstractmethod
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, TypeVar
from urllib.parse import quote

from faultmaven.infrastructure.llm import codec
from faultmaven.infrastructure.llm.errors import (
    ConfigurationError,
    InvalidRequestError,
    LLMError,
    ProviderNotConfiguredError,
    ResponseFormatError,
)
from faultmaven.infrastructure.llm.health import UNWATCHED, CircuitPolicy
from faultmaven.infrastructure.llm.http import HTTPTransport, TransportPolicy, intercepted
from faultmaven.infrastructure.llm.providers.base import (
    KEY_CHECK_TIMEOUT_S,
    BaseLLMProvider,
    KeyCheck,
)
from faultmaven.infrastructure.llm.providers.call import Call
from faultmaven.infrastructure.llm.providers.chain import take_turn
from faultmaven.infrastructure.llm.providers.key_row import KeyRow
from faultmaven.infrastructure.llm.providers.remedy import explain, first_variable
from faultmaven.infrastructure.llm.retry import (
    SYSTEM_CLOCK,
    RetryBudget,
    RetryPolicy,
    call_with_retries,
)
from faultmaven.infrastructure.llm.secret import redact, remember_secret
from faultmaven.infrastructure.llm.types import LLMRequest
from faultmaven.infrastructure.llm.wire.errors import parse_error
from faultmaven.infrastructure.llm.wire.models import model_ids_from_wire

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from faultmaven.infrastructure.llm.health import Circuits, Passage
    from faultmaven.infrastructure.llm.http import Reply, Transport
    from faultmaven.infrastructure.llm.providers.chain import Turn
    from faultmaven.infrastructure.llm.providers.config import ProviderConfig
    from faultmaven.infrastructure.llm.providers.key_row import KeyState
    from faultmaven.infrastructure.llm.retry import Clock

T = TypeVar("T")

logger = logging.getLogger("faultmaven.providers")

MODEL_LIST_TIMEOUT_S = 10.0
# A stream may not run longer than this, however alive it is.
STREAM_TOTAL_S = 1800.0


class HTTPService(BaseLLMProvider):
    """A provider that requests are sent to.

    Args:
        config: as for `BaseLLMProvider`.
        transport: what sends bytes; None makes an `HTTPTransport` of its own pool.
        clock: what waits between tries; a test passes its own.
        **settings: as for `BaseLLMProvider`.

    Attributes:
        circuits: what is told how calls end; None outside a registry.
    """

    # How the key travels where the row does not say.
    default_auth: ClassVar[Mapping[str, Any]] = {"style": "bearer"}

    def __init__(
        self,
        config: ProviderConfig | Mapping[str, Any] | None = None,
        *,
        transport: Transport | None = None,
        clock: Clock = SYSTEM_CLOCK,
        **settings: Any,
    ) -> None:
        super().__init__(config, **settings)
        if not self.config.name:
            default = type(self).__name__.removesuffix("Provider").lower()
            self.config = replace(self.config, name=default)
        if self.config.api_key:
            remember_secret(self.config.api_key)
        keys = self.config.keys
        for key in keys.values():
            remember_secret(key)
        self.circuits: Circuits | None = None
        # A key that was given instead of the variables' is the only one.
        self._keys = KeyRow(keys if self.config.api_key in keys.values() else {})
        self._auth: Mapping[str, Any] = self.config.row.get("auth") or self.default_auth
        self._key_header = _key_header(self._auth)
        self._clock = clock
        self._own_transport: Transport = transport or HTTPTransport(
            self.config.name, TransportPolicy.from_row(self.config.row)
        )
        self._retry_policy = RetryPolicy(max_retries=self.config.max_retries)
        self._retry_budget = RetryBudget()
        self._next_start = 0.0
        limits: Mapping[str, Any] = self.config.row.get("limits") or {}
        self._min_interval_s = limits.get("min_interval_ms", 0) / 1000

    @property
    def _transport(self) -> Transport:
        return intercepted(self._own_transport)

    @_transport.setter
    def _transport(self, transport: Transport) -> None:
        self._own_transport = transport

    @property
    def provider_name(self) -> str:
        """The row's name."""
        return self.config.name

    def is_available(self) -> bool:
        """Tell whether address, model and (where one is needed) key are there."""
        return bool(self.config.base_url) and bool(self.get_supported_models()) and self._has_key()

    def get_supported_models(self) -> list[str]:
        """Give the configured models, then those that the class knows; the default one first."""
        names = [*self.config.models, self.get_default_model(), *self.get_models()]
        return list(dict.fromkeys(filter(None, names)))

    async def check_key(self, api_key: str | None = None) -> KeyCheck:
        """Ask for the model list, or for one token where there is none; one request, 10 s."""
        if api_key is not None:
            other = type(self)(replace(self.config, api_key=api_key, keys={}), clock=self._clock)
            async with other:
                return await other.check_key()
        try:
            if self._models_url() is None:
                await self._check_key_by_asking()
            else:
                await self._fetch_model_ids(KEY_CHECK_TIMEOUT_S)
        except LLMError as error:
            # A list in an unknown shape is an answer, too: the key was accepted.
            if error.code != "no_models":
                return KeyCheck(ok=False, reason=error.message)
        return KeyCheck(ok=True)

    def key_states(self) -> list[KeyState]:
        """Tell how each key stands, where there are several; no key is among it."""
        return self._keys.states(self._clock.monotonic())

    async def get_available_models(self) -> list[str]:
        """Ask the provider's model list; the configured models, with a warning, where that fails."""
        try:
            if ids := await self._fetch_model_ids(MODEL_LIST_TIMEOUT_S):
                return ids
            reason = "its model list is empty"
        except LLMError as error:
            reason = error.message
        logger.warning("%s: using the configured models: %s", self.provider_name, reason)
        return self.get_supported_models()

    async def close(self) -> None:
        """Close the pooled connections; closing twice is fine, and a later call opens new ones."""
        await self._transport.close()

    def _get_headers(self) -> dict[str, str]:
        """Give the headers of every request, the key among them."""
        headers = {"Content-Type": "application/json"}
        config = self.config
        if config.api_key and self._key_header is not None:
            name, prefix = self._key_header
            headers[name] = f"{prefix}{config.api_key}"
        return headers | config.headers

    async def _authorize(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None
    ) -> tuple[str, Mapping[str, str]]:
        """Add credentials that depend on the request or expire: signatures, tokens, a query key."""
        del method, body
        auth = self._auth
        if auth.get("style") == "query" and self.config.api_key:
            joint = "&" if "?" in url else "?"
            key = quote(self.config.api_key, safe="")
            url = f"{url}{joint}{auth.get('parameter', 'key')}={key}"
        return url, headers

    def _read_error(self, status: int, headers: Mapping[str, str], body: bytes) -> LLMError:
        """Build the error that a refused call means; every known shape is understood."""
        return parse_error(status, headers, body)

    async def _retried(self, call: Call, attempt: Callable[[], Awaitable[T]]) -> T:
        """Try until it works or is final; every try goes into the receipt, and to the circuit."""
        turn = take_turn(self.provider_name)
        passage = self._watched(call) if turn is None else turn.passage
        tries = _Tries(turn)

        def note(error: LLMError, delay_s: float | None) -> None:
            call.note(self.provider_name, error)
            logger.debug("%s; next try in %s s", error.message, delay_s)

        try:
            result = await call_with_retries(
                lambda: self._with_keys(call, attempt, tries, passage),
                policy=self._retry_policy,
                budget=self._retry_budget,
                deadline=call.deadline,
                attempt_timeout_s=self.config.timeout,
                clock=self._clock,
                on_failure=note,
                may_go_on=tries.is_another_left,
            )
        except LLMError as error:
            error.attempts = tuple(call.route.attempts)
            raise
        except BaseException:
            passage.released()
            if turn is not None:
                turn.made = tries.made
            raise
        call.note(self.provider_name, None)
        if turn is None:
            call.passage = passage
            if call.request.stream:
                passage.began()
            else:
                passage.succeeded()
        return result

    async def _with_keys(
        self, call: Call, attempt: Callable[[], Awaitable[T]], tries: _Tries, passage: Passage
    ) -> T:
        """Make one try, and at once another with each further key where it is only the key that fails."""
        while True:
            number = self._keys.number if call.key_number is None else call.key_number
            call.key_number = None
            call.try_started = time.perf_counter()
            tries.made += 1
            try:
                return await attempt()
            except LLMError as error:
                explain(error, self.config, call.model)
                if not self._has_other_key(number, error):
                    passage.failed(error)
                    raise
                if not tries.is_another_left():
                    raise
                call.note(self.provider_name, error)

    def _watched(self, call: Call) -> Passage:
        """Let a call through that was asked of this provider by name, however unwell it is."""
        circuits = self.circuits
        if circuits is None or not circuits.policy.enabled:
            return UNWATCHED
        return circuits.find(self.provider_name, call.model).watch()

    def _has_other_key(self, number: int, error: LLMError) -> bool:
        """Take the next key where there is one and it was only the key that failed."""
        policy = CircuitPolicy() if self.circuits is None else self.circuits.policy
        if not self._keys.put_aside(number, error, self._clock.monotonic(), policy):
            return False
        self.api_key = self.config.api_key = self._keys.key
        return True

    async def _send(
        self, method: str, url: str, body: bytes | None, timeout_s: float, deadline: float | None
    ) -> Reply:
        """Send one request and give its answer.

        Raises:
            LLMError: the connection failed, or the status is not one of success.
        """
        url, headers = await self._authorize(method, url, self._get_headers(), body)
        reply = await self._transport.fetch(
            method, url, headers, body, timeout_s=timeout_s, deadline=self._instant(deadline)
        )
        self._log_received(reply.status, reply.body)
        if reply.status >= 300:
            raise self._read_error(reply.status, reply.headers, reply.body)
        return reply

    def _log_received(self, status: int, body: bytes) -> None:
        if logger.isEnabledFor(logging.DEBUG):
            text = redact(body.decode(errors="replace"))
            logger.debug("%s: received %s %s", self.provider_name, status, text)

    def _written(self, body: Mapping[str, Any]) -> bytes:
        """Write a body.

        Raises:
            InvalidRequestError: something in it has no JSON form.
        """
        try:
            return codec.dumps_mended(body)
        except (TypeError, ValueError) as exc:
            msg = f"the request cannot be written as JSON: {exc}"
            raise explain(InvalidRequestError(msg, code="not_json"), self.config, None) from exc

    def _url(self, endpoint: str, default: str) -> str:
        return self._absolute((self.config.row.get("endpoints") or {}).get(endpoint, default))

    def _absolute(self, path: str) -> str:
        """Give the URL of a path below the base URL; a whole address stays as it is."""
        return path if "://" in path else f"{self.config.base_url}{path}"

    def _has_key(self) -> bool:
        if self.config.api_key:
            return True
        row = self.config.row
        return row.get("api_key_var") is None or bool(row.get("api_key_optional"))

    def _require_configuration(self) -> None:
        if not self.config.base_url:
            self._demand("address", "base_url_var")
        if not self._has_key():
            self._demand("key", "api_key_var")

    def _demand(self, what: str, field: str) -> NoReturn:
        variable = first_variable(self.config, field)
        remedy = f"set {variable} in .env" if variable else f"pass {field[:-4]}=…"
        msg = f"{self.provider_name} has no {what}: {remedy}."
        raise ProviderNotConfiguredError(msg, provider=self.provider_name)

    def _require_model(self, model: str) -> None:
        """Demand a name, except of a server on one's own machine, which may have but one model."""
        if model or self.config.row.get("local"):
            return
        variable = first_variable(self.config, "model_var")
        remedy = f"set {variable} in .env, or pass model=…" if variable else "pass model=…"
        msg = f"{self.provider_name} has no model: {remedy}."
        raise ProviderNotConfiguredError(msg, provider=self.provider_name, code="no_model")

    def _instant(self, deadline: float | None) -> float | None:
        """Say a deadline by the clock of the transport, which is the machine's."""
        if deadline is None or self._clock is SYSTEM_CLOCK:
            return deadline
        return time.monotonic() + deadline - self._clock.monotonic()

    def _deadline(self, request: LLMRequest) -> float | None:
        limit_s = request.timeout if request.timeout is not None else self.config.call_timeout_s
        if limit_s is None:
            limit_s = STREAM_TOTAL_S if request.stream else None
        return None if limit_s is None else self._clock.monotonic() + limit_s

    async def _pace(self) -> None:
        """Keep the row's least interval between the starts of two calls."""
        now = self._clock.monotonic()
        start = max(now, self._next_start)
        self._next_start = start + self._min_interval_s
        if start > now:
            await self._clock.sleep(start - now)

    def _models_url(self) -> str | None:
        endpoint = self.config.row.get("models_endpoint", {"path": "/models"})
        return None if endpoint is None else self._absolute(endpoint["path"])

    def _model_id_path(self) -> str | None:
        """Give where the names are in a model list (`models[].name`); None looks in the usual places."""
        path: str | None = (self.config.row.get("models_endpoint") or {}).get("id_path")
        return path

    async def _fetch_model_ids(self, timeout_s: float) -> list[str]:
        """Ask the provider's model list.

        Raises:
            LLMError: it has none, or did not answer.
        """
        self._require_configuration()
        url = self._models_url()
        if url is None:
            msg = f"{self.provider_name} has no list of models"
            raise ConfigurationError(msg, provider=self.provider_name, code="no_model_list")
        try:
            reply = await self._send("GET", url, None, timeout_s, None)
            return model_ids_from_wire(parse_json(reply.body), self._model_id_path())
        except LLMError as error:
            explain(error, self.config, None)
            raise

    @abstractmethod
    async def _check_key_by_asking(self) -> None:
        """Use the key for the smallest call there is, where the provider lists no models.

        Raises:
            LLMError: the provider refused it, or did not answer.
        """


class _Tries:
    """How many tries a call has made, and whether its chain leaves it another."""

    def __init__(self, turn: Turn | None) -> None:
        self._turn = turn
        self.made = 0

    def is_another_left(self) -> bool:
        """Tell whether one more may be made."""
        turn = self._turn
        return turn is None or (self.made < turn.tries and not turn.passage.is_stopped)


def _key_header(auth: Mapping[str, Any]) -> tuple[str, str] | None:
    """Give the header that a key travels in, and what stands before it there; None for another way."""
    style = auth.get("style", "bearer")
    if style not in ("bearer", "header"):
        return None
    prefix = auth.get("prefix", "Bearer " if style == "bearer" else "")
    return auth.get("header", "Authorization"), prefix


def parse_json(body: bytes) -> Any:
    """Parse the body of an answer.

    Raises:
        ResponseFormatError: it is empty, or not strict JSON.
    """
    if not body.strip():
        msg = "the answer has no body"
        raise ResponseFormatError(msg, code="empty_response")
    try:
        return codec.loads_mended(body.removeprefix(b"\xef\xbb\xbf"))
    except ValueError as exc:
        what = "HTML" if body.lstrip()[:1] == b"<" else "not valid JSON"
        msg = f"the answer is {what}"
        raise ResponseFormatError(msg, code="invalid_json") from exc
