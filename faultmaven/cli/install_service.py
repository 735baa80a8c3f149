"""`faultmaven install-service`: the gateway as a service of systemd."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Final

import click

from faultmaven.cli.exit_codes import EXIT_FAILED, EXIT_OK
from faultmaven.cli.output import say, say_error, write

PLACE: Final = "/etc/systemd/system/faultmaven.service"
CONFIG: Final = "/etc/faultmaven/faultmaven.yaml"
ENV_FILE: Final = "/etc/faultmaven/env"
_HOMES: Final = ("/home/", "/root/", "/Users/")


@click.command("install-service")
@click.option("--print", "only_print", is_flag=True, help="Print the unit, and write nothing.")
@click.option("--config", default=CONFIG, show_default=True, help="faultmaven.yaml.")
@click.option("--env-file", default=ENV_FILE, show_default=True, help="File with the keys.")
@click.option("--to", "place", default=PLACE, show_default=True, help="Where the unit goes.")
@click.option("--force", is_flag=True, help="Write over a unit that is different.")
def install_service(only_print: bool, config: str, env_file: str, place: str, force: bool) -> int:
    """Write a unit of systemd that runs the gateway with few rights, and say how to start it.

    It runs this installation's own program, as a user that systemd makes up.
    """
    program = _own_program()
    config, env_file = str(Path(config).absolute()), str(Path(env_file).absolute())
    unit = make_unit(program, config, env_file, place)
    if program.startswith(_HOMES):
        say("The program is in a home folder, which the service cannot see: install it elsewhere.")
    if only_print:
        write(unit, end="")
        return EXIT_OK
    path = Path(place)
    try:
        if path.exists() and path.read_text(encoding="utf-8") != unit and not force:
            say_error(f"{place} is there and different. Look at it, or say --force.")
            return EXIT_FAILED
        path.write_text(unit, encoding="utf-8")
    except OSError as exc:
        say_error(f"cannot write {place}: {exc.strerror}. Try it as root, or say --print.")
        return EXIT_FAILED
    say(
        f"Wrote {place}. Put the keys into {env_file} (mode 0600) and the rest into {config}, then:"
    )
    say("systemctl daemon-reload && systemctl enable --now faultmaven")
    return EXIT_OK


def _own_program() -> str:
    """Give where this installation's `faultmaven` is, however it was started."""
    beside = Path(sys.executable).with_name("faultmaven")
    return str(beside if beside.exists() else Path(sys.argv[0]).resolve())


def make_unit(program: str, config: str, env_file: str, place: str = PLACE) -> str:
    """Give the unit's text; what is quoted for a shell is quoted for systemd."""
    words = {"program": program, "config": config, "env_file": env_file}
    quoted = {name: shlex.quote(word.replace("%", "%%")) for name, word in words.items()}
    return _UNIT.format(**quoted, place=place)


_UNIT: Final = """\
# {place}
# Keys in {env_file}, mode 0600; configuration in {config}.
[Unit]
Description=FaultMaven gateway
Wants=network-online.target
After=network-online.target

[Service]
Type=exec
ExecStartPre={program} serve --check --config {config}
ExecStart={program} serve --config {config}
ExecReload=/bin/kill -HUP $MAINPID
EnvironmentFile={env_file}
WorkingDirectory=/var/lib/faultmaven
# The ledger, where retention asks for one, is in the state folder.
Environment=XDG_STATE_HOME=/var/lib
StateDirectory=faultmaven
StateDirectoryMode=0700
DynamicUser=yes
UMask=0077
Restart=on-failure
RestartSec=1
# Running streams have 30 seconds, see drain_s.
TimeoutStopSec=45
KillMode=mixed
LimitNOFILE=65536
CapabilityBoundingSet=
NoNewPrivileges=yes
PrivateDevices=yes
PrivateTmp=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHome=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectSystem=strict
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service

[Install]
WantedBy=multi-user.target
"""
