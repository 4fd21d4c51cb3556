"""The command line: python -m supernet list | show | count | check | spaces | space."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

from .command_line import run_safely
from .describing import count_json, count_table, description, listing, listing_table
from .drawing import draw
from .reading import load_spec
from .space import load_space
from .space.describing import space_description, space_json, space_listing, space_listing_table
from .space.drawing import draw_space
from .values import SpecError, printable

_SPEC_HELP = "a published name (see `list`) or a YAML file"


def _list(args: argparse.Namespace) -> int:
    rows = listing()
    print("\n".join(map(json.dumps, rows)) if args.json else listing_table(rows))
    return 0


def _show(args: argparse.Namespace) -> int:
    spec, name = load_spec(args.spec), printable(Path(args.spec).stem)
    if args.svg is not None:
        _write_picture(args.svg, draw(name, spec))
    print(description(name, spec))
    if args.svg is not None:
        print(f"\ndrawn in {printable(args.svg)}")
    return 0


def _count(args: argparse.Namespace) -> int:
    spec = load_spec(args.spec)
    print(json.dumps(count_json(args.spec, spec)) if args.json else count_table(printable(args.spec), spec))
    return 0


def _check(args: argparse.Namespace) -> int:
    wrong = 0
    for name in args.specs:
        try:
            load_spec(name)
        except SpecError as error:
            print(error)
            wrong += 1
        else:
            print(f"{printable(name)}: ok")
    return 1 if wrong else 0


def _spaces(args: argparse.Namespace) -> int:
    rows = space_listing()
    print("\n".join(map(json.dumps, rows)) if args.json else space_listing_table(rows))
    return 0


def _space(args: argparse.Namespace) -> int:
    space, name = load_space(args.space), printable(Path(args.space).stem)
    if args.svg is not None:
        _write_picture(args.svg, draw_space(name, space))
    print(json.dumps(space_json(name, space)) if args.json else space_description(name, space))
    if args.svg is not None and not args.json:
        print(f"\ndrawn in {printable(args.svg)}")
    return 0


def _write_picture(path: str, svg: str) -> None:
    try:
        Path(path).write_text(svg, encoding="utf-8")
    except OSError as error:
        raise SpecError(printable(path) or "''", f"can't be written: {error.strerror}") from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m supernet", description="Networks as values, and spaces of them: read, count, draw."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, run: Callable[[argparse.Namespace], int], help_: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=help_, description=help_)
        command.set_defaults(run=run)
        return command

    command = add("list", _list, "the published networks, counted, with the figures their authors published")
    command.add_argument("--json", action="store_true", help="one JSON object a line")
    command = add("show", _show, "one network, stage by stage")
    command.add_argument("spec", metavar="SPEC", help=_SPEC_HELP)
    command.add_argument("--svg", metavar="FILE", help="also draw it")
    command = add("count", _count, "parameters and multiply-accumulates, in total and by part")
    command.add_argument("spec", metavar="SPEC", help=_SPEC_HELP)
    command.add_argument("--json", action="store_true", help="one JSON object")
    command = add("check", _check, "whether specs are valid; one line for each")
    command.add_argument("specs", metavar="SPEC", nargs="+", help=_SPEC_HELP)
    command = add("spaces", _spaces, "the spaces, with the number of their networks and the published ones inside")
    command.add_argument("--json", action="store_true", help="one JSON object a line")
    command = add("space", _space, "one space: what may vary where, its smallest, published and largest members")
    command.add_argument("space", metavar="SPACE", help="the name of a space (see `spaces`) or a YAML file")
    command.add_argument("--json", action="store_true", help="one JSON object")
    command.add_argument("--svg", metavar="FILE", help="also draw where its members lie by MACs")
    return parser


def main(arguments: list[str] | None = None) -> int:
    args = _parser().parse_args(arguments)
    return run_safely(lambda: args.run(args))


if __name__ == "__main__":
    sys.exit(main())
