"""Add a provider by a row of two fields; its key is read from ACME_API_KEY."""

from __future__ import annotations

import faultmaven
from faultmaven.infrastructure.llm.providers import PROVIDER_SCHEMA

PROVIDER_SCHEMA["acme"] = {
    "default_base_url": "https://api.acme.example/v1",
    "default_model": "acme-large",
}


def main() -> None:
    """Ask the new provider; say what it lacks where it cannot be asked."""
    try:
        print(faultmaven.complete("Hello", provider="acme").content)
    except faultmaven.LLMError as error:
        print(error.message)


if __name__ == "__main__":
    main()
