"""Base URLs as people write them: mended where the meaning is plain, refused where it is not."""

from __future__ import annotations

import re
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

_VERSION_AT_END = re.compile(r"/v\d\w*$")
_PRIVATE_ENDINGS = (".localhost", ".local", ".internal", ".lan", ".home.arpa", ".svc")


def normalise_base_url(
    text: str, *, local: bool = False, allow_http: bool = False, default: str | None = None
) -> str:
    """Give the address without spaces around it and without a slash at its end.

    Args:
        text: what was configured.
        local: a server of this machine or network: a missing scheme is http, a missing port is that
            of `default`, and 0.0.0.0 means this machine.
        allow_http: whether http is permitted to hosts of the internet.
        default: the row's own address.

    Raises:
        ValueError: it cannot be used; says why and what to write.  The text itself is only repeated
            where it holds no credentials.
    """
    url = text.strip()
    schemeless = "://" not in url
    if schemeless and local:
        url = _complete_local(url, default)
    parts = _split(url)
    if "@" in (parts.netloc or parts.path.partition("/")[0]):
        msg = "must not hold a user name or password; put the key into its variable"
        raise ValueError(msg)
    if schemeless and not local:
        msg = f"{url!r} has no scheme; write https://{url}"
        raise ValueError(msg)
    if parts.scheme.lower() not in ("http", "https"):
        msg = f"{url!r} must begin with https://"
        raise ValueError(msg)
    if parts.query or parts.fragment:
        msg = "must not hold ? or #; it is the part that all paths are added to"
        raise ValueError(msg)
    host = _ascii_host(parts)
    if parts.scheme.lower() == "http" and not (allow_http or local or is_private_host(host)):
        msg = f"{url!r} would send the key unencrypted; write https://, or set allow_http: true in the row"
        raise ValueError(msg)
    port = f":{parts.port}" if parts.port is not None else ""
    shown = f"[{host}]" if ":" in host else host
    return f"{parts.scheme.lower()}://{shown}{port}{parts.path.rstrip('/')}"


def completed_address(base_url: str, ending: str, default: str | None) -> str:
    """Add the path that an address by custom leaves out.

    Args:
        base_url: as normalised.
        ending: what the official clients add to the variable that it came from (`/v1` to
            ANTHROPIC_BASE_URL); not added where the address ends in a version already.
        default: the row's own address: the same host without any path is meant to have its path.
    """
    path = urlsplit(base_url).path
    if ending:
        return base_url if _VERSION_AT_END.search(path) else f"{base_url}{ending}"
    if not path and default and "${" not in default:
        own = urlsplit(default)
        if own.netloc == urlsplit(base_url).netloc:
            return f"{base_url}{own.path.rstrip('/')}"
    return base_url


def moved_address(address: str, default: str | None, base_url: str | None) -> str:
    """Give a whole address of a row at the host that is called in place of the row's own.

    Only an address at the host of `default` moves; one of another host stays.
    """
    parts = urlsplit(address)
    if default is None or base_url is None or parts.netloc != urlsplit(default).netloc:
        return address
    called = urlsplit(base_url)
    return parts._replace(scheme=called.scheme, netloc=called.netloc).geturl()


def is_private_host(host: str) -> bool:
    """Tell whether a host is this machine or of a private network, by its name alone.

    A name without a dot is one of a container network or of the local hosts file.
    """
    try:
        address = ip_address(host.split("%", maxsplit=1)[0])
    except ValueError:
        name = host.lower().rstrip(".")
        return "." not in name or name.endswith(_PRIVATE_ENDINGS)
    return address.is_private or address.is_loopback or address.is_link_local


def _complete_local(url: str, default: str | None) -> str:
    bracketed = f"[{url}]" if url.count(":") > 1 and not url.startswith("[") else url
    parts = urlsplit(f"http://{bracketed}")
    known = urlsplit(default) if default else None
    port = parts.port or (known.port if known else None)
    path = parts.path.rstrip("/") or (known.path if known else "")
    everywhere = (None, "0.0.0.0", "::")  # noqa: S104 - mended here, not bound
    host = "127.0.0.1" if parts.hostname in everywhere else parts.hostname
    host = f"[{host}]" if host and ":" in host else host
    user = f"{parts.username or ''}@" if "@" in parts.netloc else ""
    return f"http://{user}{host}{f':{port}' if port else ''}{path}"


def _split(url: str) -> SplitResult:
    if any(c.isspace() or ord(c) < 32 for c in url):
        msg = "must not hold spaces or control characters"
        raise ValueError(msg)
    try:
        parts = urlsplit(url)
        valid = parts.port is None or parts.port > 0
    except ValueError:
        valid, parts = False, urlsplit("")
    if not valid or ("://" in url and not parts.hostname):
        msg = "is not an address; write https://host/path"
        raise ValueError(msg)
    return parts


def _ascii_host(parts: SplitResult) -> str:
    host = parts.hostname or ""
    try:
        return host if host.isascii() else host.encode("idna").decode("ascii")
    except UnicodeError:
        msg = f"the host {host!r} is not a valid name"
        raise ValueError(msg) from None
