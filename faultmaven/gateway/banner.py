"""What is said when the gateway listens: where it is and how clients reach it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from faultmaven import __version__

if TYPE_CHECKING:
    from faultmaven.gateway.app import Gateway


# Not to bind to: a client needs another address.
_EVERYWHERE: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104  # compared, never bound


def make_banner(gateway: Gateway, port: int) -> str:
    """Write the lines for a person who has just started it; no key is among them."""
    options = gateway.options
    host = "127.0.0.1" if options.host in _EVERYWHERE else options.host
    host = f"[{host}]" if ":" in host else host
    base = f"http://{host}:{port}"
    names = gateway.names.names()
    model = next(
        (name for name in names if name.startswith(f"{gateway.names.default}/")),
        names[0] if names else "provider/model",
    )
    has_keys = bool(options.keys)
    key = "$FAULTMAVEN_KEY" if has_keys else "anything"
    header = f" -H 'Authorization: Bearer '\"{key}\"" if has_keys else ""
    workers = f", {options.workers} workers" if options.workers > 1 else ""
    return f"""\
FaultMaven {__version__} listens on {base}{workers}; {len(names)} models, keys {"on" if has_keys else "off"}.

  curl         curl {base}/v1/chat/completions{header} -H 'content-type: application/json' \\
                 -d '{{"model": "{model}", "messages": [{{"role": "user", "content": "Hello"}}]}}'
  OpenAI       OPENAI_BASE_URL={base}/v1 OPENAI_API_KEY={key}
  Anthropic    ANTHROPIC_BASE_URL={base} ANTHROPIC_API_KEY={key}   (Claude Code too)
  models       GET {base}/v1/models     health  GET {base}/health/ready

"""
